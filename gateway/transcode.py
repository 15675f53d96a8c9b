"""One route at work: HTTP request in, rpc call, HTTP response out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.binding import RequestBinder
from gateway.errors import error_response
from gateway.faults import Faults, refusal
from gateway.idempotency import KEY, METHODS, idempotency_key
from gateway.reply import ReplyWriter
from services.common.errors import CofferError

if TYPE_CHECKING:
    from gateway.http import Request, Response
    from gateway.routes import Route
    from gateway.upstream import Metadata, Rpc


_KIB: Final = 1024


def _printable(most: int) -> re.Pattern[bytes]:
    """Metadata values that gRPC takes, up to so many bytes."""
    return re.compile(rb"[\x20-\x7e]{1,%d}" % most)


_CREDENTIALS: Final = {
    # Tokens of real identity providers, with their lists of groups, go well beyond 4 KiB.
    b"authorization": ("authorization", _printable(16 * _KIB)),
    b"x-api-key": ("x-api-key", _printable(256)),
    b"x-knoxcall-stepup": ("x-knoxcall-stepup", _printable(8 * _KIB)),
}
"""The headers that are forwarded. All of them and a refusal fit into the 32 KiB of metadata that our gRPC
ends take (`services.common.rpc.channel`): what is longer is not usable."""

_LOGINS: Final = ("authorization", "x-api-key")
_STEP_UP: Final = "x-knoxcall-stepup"
_UNUSABLE: Final = "unusable"
"""Instead of a step-up token that cannot be forwarded: there was one, and it is not valid."""


class RefusalIgnoredError(Exception):
    """A service carried out a call that it had to refuse. A defect, or a service older than refusals."""


class Endpoint:
    """One route. Holds plans and nothing of any request."""

    __slots__ = ("_binder", "_call", "_keyed", "_writer", "route")

    def __init__(self, route: Route, call: Rpc) -> None:
        self.route = route
        self._call = call
        self._keyed = route.method in METHODS
        self._binder = RequestBinder(route)
        self._writer = ReplyWriter(route)

    async def answer(self, request: Request, path: list[str | None], body: bytes) -> Response:
        """The response. Raises CofferError, and RefusalIgnoredError: never the reply to a refused call.

        A request that cannot be read still goes to the service, as a refusal: authentication comes first,
        and it is not done here.
        """
        metadata, key = _metadata(request)
        faults = Faults()
        once = idempotency_key(request, faults) if self._keyed else None
        try:
            message = self._binder.bind(request, path, body, faults).SerializeToString()
        except CofferError as error:
            empty = self._binder.empty().SerializeToString()
            reply = await self._call(empty, (*metadata, refusal(error)), key)
            if isinstance(reply.outcome, CofferError):
                return error_response(reply.outcome, request.id, reply.headers)
            raise RefusalIgnoredError from None
        if once is not None:
            metadata = (*metadata, (KEY, once))
        reply = await self._call(message, metadata, key)
        if isinstance(reply.outcome, CofferError):
            return error_response(reply.outcome, request.id, reply.headers)
        return self._writer.response(reply.outcome, request.id, reply.headers)


def _metadata(request: Request) -> tuple[Metadata, int]:
    """What goes along with the call, and the key under which it shares places with others."""
    found: dict[str, str | None] = {}
    for header, value in request.headers:
        known = _CREDENTIALS.get(header)
        if known is not None:
            name, form = known
            # Two of one kind: whichever was meant, neither is trusted.
            usable = name not in found and form.fullmatch(value)
            found[name] = value.decode("ascii") if usable else None
    if None in found.values():
        found = _without_unusable(found)
    metadata = (
        ("x-request-id", request.id),
        ("coffer-client-ip", request.client_ip),
        *((name, value) for name, value in found.items() if value is not None),
    )
    credential = found.get("authorization") or found.get("x-api-key") or ""
    # Python's hash of a text is keyed by a secret of the process: it tells nothing, and nobody can aim at
    # another's. The scheme is left out, so that one API key is one key in either header.
    return metadata, hash(credential.rpartition(" ")[2])


def _without_unusable(found: dict[str, str | None]) -> dict[str, str | None]:
    """A login that cannot be used is refused, also beside a good one: so none goes along, and that is 401."""
    kept = dict(found)
    if any(name in found and found[name] is None for name in _LOGINS):
        for name in _LOGINS:
            kept.pop(name, None)
    if _STEP_UP in kept and kept[_STEP_UP] is None:
        kept[_STEP_UP] = _UNUSABLE
    return kept
