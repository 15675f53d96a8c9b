"""One route at work: HTTP request in, rpc call, HTTP response out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.binding import RequestBinder
from gateway.faults import refusal
from gateway.reply import ReplyWriter
from services.common.errors import CofferError

if TYPE_CHECKING:
    from gateway.http import Request, Response
    from gateway.routes import Route
    from gateway.upstream import Metadata, Rpc


def _printable(most: int) -> re.Pattern[bytes]:
    """Metadata values that gRPC takes, up to so many bytes."""
    return re.compile(rb"[\x20-\x7e]{1,%d}" % most)


_CREDENTIALS: Final = {
    b"authorization": ("authorization", _printable(4096)),
    b"x-api-key": ("x-api-key", _printable(256)),
    b"x-knoxcall-stepup": ("x-knoxcall-stepup", _printable(4096)),
}
"""The headers that are forwarded. Longer ones are no credentials of ours, and gRPC bounds all metadata of a
call: what does not fit is not forwarded, and the service answers 401."""


class Endpoint:
    """One route. Holds plans and nothing of any request."""

    __slots__ = ("_binder", "_call", "_writer", "route")

    def __init__(self, route: Route, call: Rpc) -> None:
        self.route = route
        self._call = call
        self._binder = RequestBinder(route)
        self._writer = ReplyWriter(route)

    async def answer(self, request: Request, path: list[str | None], body: bytes) -> Response:
        """The response. Raises CofferError.

        A request that cannot be read still goes to the service, as a refusal: authentication comes first,
        and it is not done here.
        """
        metadata = _metadata(request)
        try:
            message = self._binder.bind(request, path, body)
        except CofferError as error:
            await self._call(self._binder.empty(), (*metadata, refusal(error)))
            # The service did not answer with the refusal: then the refusal itself is the answer.
            raise
        reply = await self._call(message, metadata)
        return self._writer.response(reply, request.id)


def _metadata(request: Request) -> Metadata:
    found: dict[str, bytes | None] = {}
    for key, value in request.headers:
        known = _CREDENTIALS.get(key)
        if known is not None:
            name, form = known
            # Two of one kind: whichever was meant, neither is trusted.
            usable = name not in found and form.fullmatch(value)
            found[name] = value if usable else None
    return (
        ("x-request-id", request.id),
        ("coffer-client-ip", request.client_ip),
        *((name, value.decode("ascii")) for name, value in found.items() if value is not None),
    )
