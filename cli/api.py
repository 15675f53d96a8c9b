"""The gateway's REST API, as the command line calls it."""

from __future__ import annotations

import copy
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from cli.patience import AT_ONCE, Patience
from cli.reaching import uses_proxies

if TYPE_CHECKING:
    from types import TracebackType

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_SERVER_FAULT: Final = 500
_STEP_UP: Final = "X-KnoxCall-StepUp"
_LOST: Final = (
    httpx.ReadError,
    httpx.WriteError,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
)
"""Somebody was there: the call may or may not have been done."""


class UnreachableError(Exception):
    """Nobody answers at the base URL. `lost`: there was a connection, which then broke or fell silent."""

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


class ApiError(Exception):
    """The API answered with an error. `retry_after`: seconds after which it may be gone."""

    def __init__(
        self, status: int, error: dict[str, Any], retry_after: float | None = None
    ) -> None:
        super().__init__(str(error.get("message") or f"HTTP {status}"))
        self.status = status
        self.error = error
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """The error's type, such as `not_found`; empty when the answer was not the API's."""
        return str(self.error.get("type", ""))

    @property
    def refused(self) -> bool:
        """Whether the caller would have to change something."""
        return self.status < _SERVER_FAULT

    def lines(self) -> list[str]:
        """What a person should read: message, faults by field, hint, request id."""
        told = [f"{self} ({self.code or self.status})"]
        for path, faults in (self.error.get("fields") or {}).items():
            told += [f"  {path}: {fault}" for fault in faults]
        for name in ("reason", "hint", "retry_after", "request_id"):
            if self.error.get(name) is not None:
                told.append(f"  {name}: {self.error[name]}")
        return told


class Api:
    """One credential at one base URL. Use as a context manager.

    Every call that changes something carries an Idempotency-Key of its own, the same each time it is
    sent: sent again after a lost answer it is done once. A call with a step-up token is sent once only,
    because such a token works once.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        patience: Patience = AT_ONCE,
        timeout: httpx.Timeout = _TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Does no I/O. `transport` takes the place of the network in tests."""
        self._base_url = base_url
        self.patience = patience
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "coffer-cli"},
            timeout=timeout,
            transport=transport,
            trust_env=uses_proxies(base_url),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def at_once(self) -> Api:
        """The same credential and connections, giving up at the first trouble."""
        other = copy.copy(self)
        other.patience = AT_ONCE
        return other

    def get(self, path: str, **query: str | int | bool | None) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path, params=given)

    def post(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        step_up: str | None = None,
        if_match: int | None = None,
    ) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("POST", path, _headers(step_up, if_match), json=body or {})

    def put(
        self, path: str, body: dict[str, Any], *, if_match: int | None = None
    ) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("PUT", path, _headers(None, if_match), json=body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str, *, step_up: str | None = None) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("DELETE", path, _headers(step_up, None))

    def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **how: Any
    ) -> dict[str, Any]:
        sent = dict(headers or {})
        if method != "GET":
            sent["Idempotency-Key"] = str(uuid.uuid4())
        patience = AT_ONCE if _STEP_UP in sent else self.patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(method, path, headers=sent, **how)
            except ApiError as error:
                wait = patience.after_answer(attempt, error.status, error.code, error.retry_after)
                if wait is None:
                    raise
            except UnreachableError as error:
                wait = patience.after_loss(attempt, str(error), lost=error.lost)
                if wait is None:
                    raise
            patience.sleep(wait)

    def _once(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **how)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(
                f"{self._base_url} does not answer ({type(error).__name__}); is the stack running?",
                lost=isinstance(error, _LOST),
            ) from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict):
            return body
        told = body.get("error") if isinstance(body, dict) else None
        given = answer.headers.get("Retry-After", "")
        raise ApiError(
            answer.status_code,
            told if isinstance(told, dict) else {},
            float(given) if given.isdecimal() else None,
        )


def _headers(step_up: str | None, if_match: int | None) -> dict[str, str]:
    given = {_STEP_UP: step_up, "If-Match": None if if_match is None else str(if_match)}
    return {name: value for name, value in given.items() if value is not None}
