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
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from gateway.routes import Route

CACHEABLE: Final = (b"cache-control", b"public, max-age=300")
"""Of public replies: five minutes, so that a key that signs from now on is soon known everywhere."""

_META: Final = frozenset(
    {page_pb2.Page.DESCRIPTOR.full_name, page_pb2.CursorPage.DESCRIPTOR.full_name}
)


def meta_fields(reply: Descriptor) -> dict[str, Descriptor]:
    """The fields, and their types, whose members go into `meta` instead of `data` when they are set."""
    types = {field.name: field.message_type for field in reply.fields}
    return {
        name: inner
        for name, inner in types.items()
        if inner is not None and inner.full_name in _META
    }


class ReplyWriter:
    """Writes the replies of one route. Raises TypeError or KeyError when the route cannot be served."""

    __slots__ = (
        "_choice",
        "_data",
        "_enveloped",
        "_etag",
        "_headers",
        "_location",
        "_meta",
        "_status",
        "_whole",
    )

    def __init__(self, route: Route) -> None:
        reply = route.rpc.output_type
        meta = meta_fields(reply) if route.enveloped else {}
        self._enveloped = route.enveloped
        self._headers = (JSON_TYPE, CACHEABLE) if route.public else (JSON_TYPE,)
        self._status = route.status
        self._location = route.location
        self._data = route.response_body
        self._etag = route.etag
        self._meta = [(name, MessageWriter(inner)) for name, inner in meta.items()]
        self._whole = MessageWriter(reply, without=tuple(meta))
        self._choice = _choice(reply, route.body_oneof)
        if self._data and self._data not in reply.fields_by_name:
            raise TypeError(f"{route.rpc.full_name}: response_body names no field of the reply")
        inner = [field.message_type for field in reply.fields if field.message_type is not None]
        bodies = inner if self._choice else [reply]
        if self._etag and not any(self._etag in body.fields_by_name for body in bodies):
            raise TypeError(f"{route.rpc.full_name}: etag names no member of the body")

    def response(
        self, message: Message, request_id: str, more: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Response:
        """The success response; `more` are headers that came along with the reply.

        Raises ValueError for a reply that its contract does not allow.
        """
        members = self._members(message)
        headers = (*self._headers, *more)
        if self._location:
            headers = (*headers, (b"location", _location(self._location, members)))
        tag = members.get(self._etag)
        if tag is not None:
            headers = (*headers, (b"etag", b'"%s"' % str(tag).encode("ascii")))
        body: object = members[self._data] if self._data else members
        if self._enveloped:
            meta: dict[str, object] = {"request_id": request_id}
            for name, writer in self._meta:
                if message.HasField(name):
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
