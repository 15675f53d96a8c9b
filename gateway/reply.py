"""An rpc's reply to an HTTP response, by a plan made once per route."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from coffer.type.v1 import page_pb2

from gateway.errors import JSON_TYPE
from gateway.http import Response
from gateway.json_output import MessageWriter, encode

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

    from gateway.routes import Route

CACHEABLE: Final = (b"cache-control", b"public, max-age=300")
"""Of public replies: five minutes, so that a key that signs from now on is soon known everywhere."""

_PAGE: Final = page_pb2.Page.DESCRIPTOR.full_name


def page_field(reply: Descriptor) -> FieldDescriptor | None:
    """The field that goes into `meta` instead of `data`."""
    for field in reply.fields:
        if field.message_type is not None and field.message_type.full_name == _PAGE:
            return field
    return None


class ReplyWriter:
    """Writes the replies of one route. Raises TypeError or KeyError when the route cannot be served."""

    __slots__ = (
        "_choice",
        "_data",
        "_enveloped",
        "_headers",
        "_location",
        "_page",
        "_status",
        "_whole",
    )

    def __init__(self, route: Route) -> None:
        reply = route.rpc.output_type
        page = page_field(reply) if route.enveloped else None
        self._enveloped = route.enveloped
        self._headers = (JSON_TYPE, CACHEABLE) if route.public else (JSON_TYPE,)
        self._status = route.status
        self._location = route.location
        self._data = route.response_body
        self._page = (page.name, MessageWriter(page_pb2.Page.DESCRIPTOR)) if page else None
        self._whole = MessageWriter(reply, without=(page.name,) if page else ())
        self._choice = _choice(reply, route.body_oneof)
        if self._data and self._data not in reply.fields_by_name:
            raise TypeError(f"{route.rpc.full_name}: response_body names no field of the reply")

    def response(self, message: Message, request_id: str) -> Response:
        """The success response. Raises ValueError for a reply that its contract does not allow."""
        members = self._members(message)
        headers: tuple[tuple[bytes, bytes], ...] = self._headers
        if self._location:
            headers = (*headers, (b"location", _location(self._location, members)))
        body: object = members[self._data] if self._data else members
        if self._enveloped:
            meta: dict[str, object] = {"request_id": request_id}
            if self._page:
                name, writer = self._page
                meta.update(writer.members(getattr(message, name)))
            body = {"data": body, "meta": meta}
        return Response(self._status, headers, encode(body).encode("utf-8"))

    def _members(self, message: Message) -> dict[str, object]:
        if not self._choice:
            return self._whole.members(message)
        oneof, writers = self._choice
        chosen = message.WhichOneof(oneof)
        if chosen is None:
            raise ValueError(f"the reply sets no member of {oneof}")
        return writers[chosen].members(getattr(message, chosen))


def _choice(reply: Descriptor, oneof: str) -> tuple[str, dict[str, MessageWriter]] | None:
    if not oneof:
        return None
    writers = {
        field.name: MessageWriter(field.message_type)
        for field in reply.oneofs_by_name[oneof].fields
        if field.message_type is not None
    }
    return oneof, writers


def _location(template: str, members: dict[str, object]) -> bytes:
    """The template filled with percent-encoded members."""
    text = "".join(
        literal + (quote(str(members[name]), safe="") if name else "")
        for literal, name, _, _ in Formatter().parse(template)
    )
    return text.encode("ascii")
