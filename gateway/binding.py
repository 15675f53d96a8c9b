"""An HTTP request to an rpc's request message, by a plan made once per route.

Where each field of the message comes from is fixed by the contract: a path segment, a request header
(`json_field.http_header`), else the body, or the query where the rpc takes no body. A field given in the
wrong place is an unknown field there. All faults of query, headers and body are reported together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from coffer.type.v1 import policy_pb2
from google.protobuf import field_mask_pb2, message_factory

from gateway.idempotency import METHODS
from gateway.json_input import MessageReader, read_struct
from gateway.json_scalars import Misfit, text_reader_of
from gateway.json_syntax import JsonSyntaxError, parse_object, printable
from services.common.errors import NotFoundError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    from gateway.faults import Faults
    from gateway.http import Request
    from gateway.routes import Route

    ReadText = Callable[[str], object]

BODY: Final = "body"
"""Where the faults of a body as a whole are reported."""

UPDATE_MASK: Final = "update_mask"
"""The field (google.protobuf.FieldMask) that says which members a body has: of a PATCH also those that are
null, which clear; elsewhere null is as good as not given. The binding fills it; it is no member itself."""

# RFC 9110 section 8.8.3: an entity tag is quoted; a bare number is what people type.
_QUOTED: Final = re.compile(r'"([^"]*)"')
_IF_MATCH: Final = "if-match"
_CONDITIONS: Final = (b"if-match", b"if-none-match")
"""What makes a change depend on what is there (RFC 9110 section 13.1): never ignored, because who sends it
relies on it."""
_NOT_ONE_VERSION: Final = re.compile(r"\*|W/.*|.*,.*", re.DOTALL)
"""What RFC 9110 section 13.1.1 allows besides one strong tag. A weak tag never matches, and a change that
is right for any version, or for several, needs no condition: they are mistakes, and better told."""


def header_name(field: FieldDescriptor) -> str:
    """The header that fills the field, in lower case; empty: none does."""
    return field.GetOptions().Extensions[policy_pb2.json_field].http_header


class RequestBinder:
    """Makes the request messages of one route. Raises TypeError when the route cannot be served."""

    __slots__ = (
        "_conditions",
        "_headers",
        "_make",
        "_masked",
        "_members",
        "_null_clears",
        "_path",
        "_query",
        "_raw",
    )

    def __init__(self, route: Route) -> None:
        fields = route.rpc.input_type.fields
        by_name = route.rpc.input_type.fields_by_name
        headers = {field.name: header_name(field) for field in fields if header_name(field)}
        self._null_clears = route.method == "PATCH"
        self._masked = route.takes_body and _is_mask(by_name.get(UPDATE_MASK))
        elsewhere = {*route.path_fields, *headers}
        if self._masked:
            elsewhere.add(UPDATE_MASK)
        self._make = message_factory.GetMessageClass(route.rpc.input_type)
        self._path = [(name, text_reader_of(by_name[name])) for name in route.path_fields]
        self._headers = [
            (name, header, text_reader_of(by_name[name])) for name, header in headers.items()
        ]
        self._conditions = _unknown_conditions(route, {header for _, header, _ in self._headers})
        self._raw = route.raw_json_body
        self._query: dict[str, tuple[ReadText, bool]] = {}
        if not route.takes_body:
            rest = [field for field in fields if field.name not in elsewhere]
            self._query = {f.name: (text_reader_of(f), f.is_repeated) for f in rest}
            elsewhere = set(by_name)
        self._members = MessageReader(route.rpc.input_type, without=elsewhere)

    def bind(
        self, request: Request, path: list[str | None], body: bytes, faults: Faults
    ) -> Message:
        """The message. Raises NotFoundError when the path can name nothing, else ValidationError.

        `faults` are those found before, which are reported together with those found here.
        """
        found = self._path_arguments(path)
        members = _members(body)
        if self._raw:
            found[self._raw] = read_struct(members)
        else:
            found.update(self._members.arguments(members, "", faults))
        if request.query:
            self._add_query(request.query, found, faults)
        if self._headers:
            self._add_headers(request, found, faults)
        if self._conditions:
            self._refuse_conditions(request, faults)
        if len(faults):
            raise faults.error()
        if self._masked:
            found[UPDATE_MASK] = field_mask_pb2.FieldMask(paths=self._given(members))
        return self._make(**found)

    def _given(self, members: dict[str, object]) -> list[str]:
        return [name for name, value in members.items() if self._null_clears or value is not None]

    def empty(self) -> Message:
        """The request of a call that only carries a refusal."""
        return self._make()

    def _path_arguments(self, texts: list[str | None]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for (name, read), text in zip(self._path, texts, strict=True):
            try:
                value = read(text) if text is not None else None
            except Misfit:
                value = None
            # What has a number is numbered from 1.
            if value is None or (isinstance(value, int) and value < 1):
                raise NotFoundError("There is nothing of this id.")
            found[name] = value
        return found

    def _add_query(self, query: bytes, found: dict[str, Any], faults: Faults) -> None:
        for name, texts in _query_texts(query, faults).items():
            known = self._query.get(name)
            if known is None:
                faults.add(printable(name), "unknown query parameter")
                continue
            read, repeated = known
            if len(texts) > 1 and not repeated:
                faults.add(name, "given more than once")
                continue
            try:
                values = [read(text) for text in texts]
            except Misfit as misfit:
                faults.add(name, str(misfit))
            else:
                found[name] = values if repeated else values[0]

    def _add_headers(self, request: Request, found: dict[str, Any], faults: Faults) -> None:
        for name, header, read in self._headers:
            values = request.header_values(header.encode("ascii"))
            if len(values) > 1:
                faults.add(header, "given more than once")
            elif values:
                text = values[0].decode("latin-1").strip()
                if header == _IF_MATCH and _NOT_ONE_VERSION.fullmatch(text):
                    faults.add(header, 'give the one version that you read, such as "3"')
                    continue
                quoted = _QUOTED.fullmatch(text)
                try:
                    found[name] = read(quoted[1] if quoted else text)
                except Misfit as misfit:
                    faults.add(header, str(misfit))

    def _refuse_conditions(self, request: Request, faults: Faults) -> None:
        for name in sorted({name for name, _ in request.headers} & self._conditions):
            faults.add(name.decode("ascii"), "is not supported here")


def _unknown_conditions(route: Route, known: set[str]) -> frozenset[bytes]:
    """Conditions that the route does not heed. Where nothing is changed they can do no harm."""
    if route.method not in METHODS:
        return frozenset()
    return frozenset(name for name in _CONDITIONS if name.decode("ascii") not in known)


def _is_mask(field: FieldDescriptor | None) -> bool:
    return (
        field is not None
        and field.message_type is not None
        and field.message_type.full_name == field_mask_pb2.FieldMask.DESCRIPTOR.full_name
    )


def _members(body: bytes) -> dict[str, object]:
    if not body:
        return {}
    try:
        return parse_object(body)
    except JsonSyntaxError as error:
        raise ValidationError(str(error), fields={BODY: [str(error)]}) from None


def _query_texts(query: bytes, faults: Faults) -> dict[str, list[str]]:
    """The parameters of an application/x-www-form-urlencoded query."""
    found: dict[str, list[str]] = {}
    for pair in filter(None, query.split(b"&")):
        name, _, value = pair.partition(b"=")
        parameter = _form_text(name)
        text = _form_text(value)
        if parameter is None or text is None:
            faults.add(printable(parameter or "query"), "is not UTF-8")
        else:
            found.setdefault(parameter, []).append(text)
    return found


def _form_text(text: bytes) -> str | None:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None
