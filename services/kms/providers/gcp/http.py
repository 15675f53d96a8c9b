"""HTTP for google-auth: bounded in time, to no other host than asked, telling what came back.

google-auth's own transport follows redirects, waits for two minutes, takes logins from ~/.netrc, and its
impersonation forgets the status of a refusal. Proxies come from the operator's environment (https_proxy).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final

import requests
from google.auth import transport
from google.auth.exceptions import TransportError
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 4.0
"""Between two bytes of an answer."""
_CONNECTIONS: Final = 64
_METADATA: Final = ("http://metadata.google.internal", "http://169.254.169.254")


def session() -> requests.Session:
    """Connections that may be shared by threads: no cookies, no netrc, no retries."""
    made = requests.Session()
    made.auth = _as_it_is  # else requests would overwrite the bearer token with what ~/.netrc says
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS, max_retries=0)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@dataclass(frozen=True, slots=True)
class Answer(transport.Response):
    """See google.auth.transport.Response."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status})"  # data may hold a token


class OutOfTimeError(Exception):
    """There is no time left. Not google-auth's own error, which it would answer by trying again."""


class Http(transport.Request):
    """One login's requests. `last` is the answer to the last of them, None when there was none."""

    def __init__(
        self, connections: requests.Session, until: float, ca_file: Path | None = None
    ) -> None:
        """No request begins after `until`, of time.monotonic. `ca_file` replaces the usual roots."""
        self.session = connections
        self._until = until
        self._verify = str(ca_file) if ca_file else True
        self.last: Answer | None = None

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - google-auth's own are too long
        **_more: Any,
    ) -> Answer:
        """Raises TransportError, OutOfTimeError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise OutOfTimeError
        self.last = None
        try:
            answer = self.session.request(
                method,
                _located(url),
                data=body,
                headers=headers,
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                allow_redirects=False,
                verify=self._verify,
            )
        except requests.RequestException:
            raise TransportError from None
        self.last = Answer(answer.status_code, answer.headers, answer.content)
        return self.last


def _located(url: str) -> str:
    """The metadata server is where GCE_METADATA_HOST says, as for Google's other libraries.

    google-auth reads that once, when it is imported, and not at all to find out whether there is one.
    """
    host = os.environ.get("GCE_METADATA_HOST")
    for root in _METADATA:
        if host and (url == root or url.startswith(f"{root}/")):
            return f"http://{host}{url.removeprefix(root)}"
    return url
