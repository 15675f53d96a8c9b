"""The gateway's REST API, as the command line calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import httpx

if TYPE_CHECKING:
    from types import TracebackType

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_SERVER_FAULT: Final = 500


class UnreachableError(Exception):
    """Nobody answers at the base URL."""


class ApiError(Exception):
    """The API answered with an error. `retryable`: the same call may succeed later."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message") or f"HTTP {status}"))
        self.status = status
        self.error = error

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
    """One credential at one base URL. Use as a context manager."""

    def __init__(
        self, base_url: str, token: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Does no I/O. `transport` takes the place of the network in tests."""
        self._base_url = base_url
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "coffer-cli"},
            timeout=_TIMEOUT,
            transport=transport,
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

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path, params=given)

    def post(
        self, path: str, body: dict[str, Any] | None = None, *, step_up: str | None = None
    ) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("POST", path, json=body or {}, headers=_step_up(step_up))

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("PUT", path, json=body)

    def delete(self, path: str, *, step_up: str | None = None) -> dict[str, Any]:
        """Raises UnreachableError, ApiError."""
        return self._call("DELETE", path, headers=_step_up(step_up))

    def _call(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **how)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(
                f"{self._base_url} does not answer ({type(error).__name__}); is the stack running?"
            ) from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict):
            return body
        told = body.get("error") if isinstance(body, dict) else None
        raise ApiError(answer.status_code, told if isinstance(told, dict) else {})


def _step_up(token: str | None) -> dict[str, str]:
    return {} if token is None else {"X-KnoxCall-StepUp": token}
