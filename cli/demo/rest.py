"""The REST API as a tenant's own programs use it: an API key for /v1, a token for /admin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from cli.demo.steps import ClaimError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT_SECONDS = 30.0
PAGE_ROWS = 100
STEP_UP_HEADER = "X-KnoxCall-StepUp"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `body` is the JSON object, empty when the answer held none."""

    call: str
    status: int
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def error(self) -> Mapping[str, Any]:
        """The member `error`, empty when the call succeeded."""
        found: Mapping[str, Any] = self.body.get("error", {})
        return found

    def expect(self, status: int, error_type: str | None = None) -> Mapping[str, Any]:
        """The body. Raises ClaimError unless that status (and error type) was answered."""
        if self.status != status or (error_type and self.error.get("type") != error_type):
            wanted = f"{status} {error_type}" if error_type else str(status)
            raise ClaimError(f"{self.call} answered {self.words()}, not {wanted}")
        return self.body

    def words(self) -> str:
        """What was answered, in one line."""
        if not self.error:
            return str(self.status)
        reason = f" ({self.error['reason']})" if self.error.get("reason") else ""
        return f"{self.status} {self.error.get('type')}{reason}: {self.error.get('message')}"


class Rest:
    """A client of one tenant. Safe for use by several threads. Use as a context manager."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        admin_jwt: str,
        *,
        connections: int,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Does no I/O. `transport` takes the place of the network."""
        self._client = httpx.Client(
            base_url=base_url,
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=connections),
            # A proxy of the environment has no business between us and the loopback.
            trust_env=False,
            transport=transport,
        )
        self._bearer = {"/v1": api_key, "/admin": admin_jwt}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> Answer:
        """GET with the credential that the path wants. Raises httpx.TransportError."""
        return self._call("GET", path, None, {})

    def post(self, path: str, body: Mapping[str, Any], *, step_up: str | None = None) -> Answer:
        """POST a JSON object. Raises httpx.TransportError."""
        return self._call("POST", path, body, {} if step_up is None else {STEP_UP_HEADER: step_up})

    def delete(self, path: str, *, step_up: str | None = None) -> Answer:
        """DELETE. Raises httpx.TransportError."""
        headers = {} if step_up is None else {STEP_UP_HEADER: step_up}
        return self._call("DELETE", path, None, headers)

    def secrets(self) -> Iterator[Mapping[str, Any]]:
        """Every row of the list of secrets, page by page, by name."""
        page, pages = 1, 1
        while page <= pages:
            answer = self.get(f"/v1/secrets?per_page={PAGE_ROWS}&page={page}")
            body = answer.expect(200)
            yield from body["data"]
            page, pages = page + 1, body["meta"]["total_pages"]

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Answer:
        bearer = self._bearer["/admin" if path.startswith("/admin") else "/v1"]
        given = {"Authorization": f"Bearer {bearer}", **headers}
        found = self._client.request(method, path, json=body, headers=given)
        return Answer(f"{method} {path}", found.status_code, _object(found), dict(found.headers))


def _object(found: httpx.Response) -> Mapping[str, Any]:
    try:
        body = found.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
