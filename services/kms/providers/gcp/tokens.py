"""Access tokens: the platform's own, and those of customers' service accounts that it impersonates.

Synchronous, as google-auth is: to be called in threads (`logins`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import google.auth
import google.auth.compute_engine  # now: it reads the environment, and else would in some thread
from google.auth import impersonated_credentials
from google.auth.credentials import TokenState
from google.oauth2 import credentials as bearer

from services.common.clock import clock
from services.kms.providers.gcp.errors import OWN_IDENTITY, Action, attributed
from services.kms.providers.gcp.faults import GcpFailedError, of_login
from services.kms.providers.gcp.http import Http, session

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

IAM_URL: Final = "https://iamcredentials.googleapis.com"
KMS_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
IAM_SCOPE: Final = "https://www.googleapis.com/auth/iam"
TOKEN_SECONDS: Final = 300
"""How long a token of a service account lives. Google takes none back before its end."""
_BEFORE_EXPIRY: Final = 0.2
"""Part of a token's life, at its end, in which it is not used any more."""


@dataclass(frozen=True, slots=True)
class LoginKey:
    """What a token of a service account is for."""

    tenant_id: UUID
    account: str


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token. `own`: the platform's own; `good_until` is on services.common.clock."""

    value: str = field(repr=False)
    own: bool
    good_until: float
    quota_project: str | None = None

    @property
    def good(self) -> bool:
        """Whether to use it for another call."""
        return clock() < self.good_until


class OwnTokens:
    """The process's ambient Google identity (application default credentials), with one scope."""

    def __init__(self, scope: str) -> None:
        """Does no I/O."""
        self._scope = scope
        self._session = session()
        self._credentials: Any = None

    def get(self, until: float, refused: Token | None) -> Token:
        """A token, another one than was `refused`. Not for two threads at a time.

        Raises GcpFailedError, always with OWN_IDENTITY.
        """
        http = Http(self._session, until)
        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[self._scope], request=http)
            stale = self._credentials.token_state is not TokenState.FRESH
            if stale or (refused is not None and refused.value == self._credentials.token):
                self._credentials.refresh(http)
            # Not kept: the credentials themselves know how long their token is good.
            return Token(
                str(self._credentials.token), True, clock(), self._credentials.quota_project_id
            )
        except Exception:  # noqa: BLE001 - nothing foreign leaves an adapter
            raise GcpFailedError(Action.LOGIN, OWN_IDENTITY) from None

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()


class Impersonation:
    """Tokens of service accounts that let the platform's own identity impersonate them."""

    def __init__(
        self, iam_endpoint_url: str | None, ca_file: Path | None, *, reuse_seconds: float
    ) -> None:
        """The CA file counts for an endpoint of the operator's only, never for Google's own."""
        self._url = (iam_endpoint_url or IAM_URL).rstrip("/")
        self._ca_file = ca_file if iam_endpoint_url else None
        self._reuse = reuse_seconds
        self._session = session()

    def get(self, key: LoginKey, own: Token, until: float) -> Token:
        """A new token. Raises GcpFailedError."""
        account = quote(key.account, safe="@")
        http = Http(self._session, until, self._ca_file)
        # Before the call: the grant may be taken away right after Google checked it.
        asked_at, asked_on = clock(), datetime.now(UTC)
        try:
            make_own: Any = bearer.Credentials
            make: Any = impersonated_credentials.Credentials
            credentials = make(
                make_own(own.value, quota_project_id=own.quota_project),
                target_principal=key.account,
                target_scopes=[KMS_SCOPE],
                lifetime=TOKEN_SECONDS,
                iam_endpoint_override=(
                    f"{self._url}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
                ),
            )
            credentials.refresh(http)
            life = (credentials.expiry.replace(tzinfo=UTC) - asked_on).total_seconds()
            return Token(
                str(credentials.token),
                False,
                asked_at + min(self._reuse, life * (1 - _BEFORE_EXPIRY)),
            )
        except Exception:  # noqa: BLE001 - nothing foreign leaves an adapter
            fault = attributed(of_login(http.last), Action.LOGIN, direct=False)
            raise GcpFailedError(Action.LOGIN, fault) from None

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()
