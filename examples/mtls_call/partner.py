"""HTTPS calls to one partner, by a client certificate that is fetched from Coffer."""

from __future__ import annotations

import http.client
import logging
import ssl
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from coffer_client import CertificateSecret, CofferClientError, DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from coffer_client import StringSecret, SyncCofferClient

REFRESH_SECONDS: Final = 60.0
RELOOK_SECONDS: Final = 5.0
"""Between two looks at least, also while the partner refuses: each is an audited read of a private key."""
TIMEOUT_SECONDS: Final = 10.0

_SUCCESS: Final = 2

_log = logging.getLogger(__name__)


class PartnerError(Exception):
    """The partner answered with something else than success, or there is nothing to call it with."""


class Partner:
    """Calls one host. The certificate's context is made anew only when there is a new version of it.

    Once there is one, calls go on with it while Coffer is away or sealed; what Coffer refuses (the secret was
    deleted, the grant taken away, the master key revoked) ends them.
    """

    def __init__(
        self,
        coffer: SyncCofferClient,
        certificate: str,
        url: str,
        *,
        ca_file: str | None = None,
        refresh_seconds: float = REFRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ca_file` is the CA of the partner's server; only without one those of the system."""
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None:
            raise ValueError("the partner's URL must begin with https://")
        if ca_file is not None and not ca_file:
            raise ValueError("the CA file (--ca) has no name; leave it away for the system's CAs")
        self._host, self._port = parts.hostname, parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._coffer = coffer
        self._name = certificate
        self._ca_file = ca_file
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._looked_at = float("-inf")
        self._context: ssl.SSLContext | None = None
        self.version = 0

    def get(self) -> str:
        """The body of a GET. Redirects are not followed.

        Raises PartnerError, CofferClientError, OSError (ssl.SSLError too), HTTPException.
        """
        context = self._refreshed(self._refresh_seconds)
        try:
            return self._get(context)
        except (ssl.SSLError, ConnectionError) as error:
            # Perhaps the partner takes only the new certificate: look, and try that.
            if not _may_be_refusal(error):
                raise
            before = self.version
            context = self._refreshed(RELOOK_SECONDS)
            if self.version == before:
                raise
            return self._get(context)

    def _refreshed(self, seconds: float) -> ssl.SSLContext:
        """The context of the current version, looked at less than so many seconds ago."""
        if self._context is not None and self._clock() - self._looked_at < seconds:
            return self._context
        try:
            found = self._coffer.get(self._name)
        except CofferClientError as error:
            passing = error.may_pass or isinstance(error, DeadlineExceededError)
            if self._context is None or not passing:
                raise
            _log.warning("going on with version %d of %s: %s", self.version, self._name, error)
            # Not asked at every call: each would wait for Coffer in vain.
            self._looked_at = self._clock()
            return self._context
        return self._taken(found)

    def _taken(self, found: StringSecret | CertificateSecret) -> ssl.SSLContext:
        if not isinstance(found, CertificateSecret):
            raise PartnerError(f"{self._name} is no certificate")
        if self._context is None or found.value_version != self.version:
            self._context = found.ssl_context(ca_file=self._ca_file)
            self.version = found.value_version
        self._looked_at = self._clock()
        return self._context

    def _get(self, context: ssl.SSLContext) -> str:
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=context, timeout=TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", self._target)
            answer = connection.getresponse()
            if answer.status // 100 != _SUCCESS:
                raise PartnerError(f"{self._host} answered {answer.status} {answer.reason}")
            return answer.read().decode()
        except UnicodeDecodeError:
            raise PartnerError(f"{self._host} answered what is no UTF-8 text") from None
        finally:
            connection.close()


def _may_be_refusal(error: OSError) -> bool:
    """Whether the partner may not have liked our certificate. With TLS 1.3 it says so after the handshake, by
    an alert or by ending the connection; nobody there, or not who we trust, is something else."""
    return not isinstance(error, ConnectionRefusedError | ssl.SSLCertVerificationError)
