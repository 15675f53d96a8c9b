"""Message descriptors to JSON Schema 2020-12, as OpenAPI 3.1 embeds it.

Says what `json_input` accepts and `json_output` writes, with the comments of the .proto files as
descriptions. A request member is required where its field is neither `optional` nor a list nor a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coffer.type.v1 import policy_pb2
from google.protobuf import struct_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.binding import UPDATE_MASK

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from google.protobuf.descriptor import Descriptor

Schema = dict[str, Any]

_SCALARS: Final[Mapping[int, Schema]] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer", "format": "int64"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}


class Schemas:
    """The component schemas collected so far. `comments` maps a full name to its comment."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.components: dict[str, Schema] = {}

    def request(self, message: Descriptor, without: Collection[str] = ()) -> Schema:
        """A reference to the schema of a body, which has no member for the fields `without`."""
        return self._reference(message, without, reply=False)

    def reply(self, message: Descriptor, without: Collection[str] = ()) -> Schema:
        """A reference to the schema of a reply."""
        return self._reference(message, without, reply=True)

    def field(self, field: FieldDescriptor, *, reply: bool, nullable: bool = True) -> Schema:
        """The schema of one member, its description included; `nullable`: if it has a null at all."""
        schema = self._single(field, reply=reply)
        if field.is_repeated:
            schema = {"type": "array", "items": schema} | _least_items(field)
        elif (
            nullable
            and not _never_null(field)
            and (field.has_presence or (not reply and field.message_type is not None))
        ):
            schema = _or_null(schema, leave=_omitted(field))
        if field.GetOptions().debug_redact and not reply:
            schema["writeOnly"] = True
        comment = self._comments.get(field.full_name)
        return schema | {"description": comment} if comment else schema

    def _reference(self, message: Descriptor, without: Collection[str], *, reply: bool) -> Schema:
        name = message.full_name.split(".v1.", 1)[-1]
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._object(message, without, reply=reply)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, without: Collection[str], *, reply: bool) -> Schema:
        fields = [field for field in message.fields if field.name not in without]
        needed = [f.name for f in fields if (not _omitted(f) if reply else _required(f))]
        schema: Schema = {
            "type": "object",
            "description": self._comments.get(message.full_name, ""),
            "properties": {field.name: self.field(field, reply=reply) for field in fields},
        }
        if needed:
            schema["required"] = needed
        if UPDATE_MASK in without:
            schema["minProperties"] = 1
        if not reply:
            schema["additionalProperties"] = False
        return schema

    def _single(self, field: FieldDescriptor, *, reply: bool) -> Schema:
        inner = field.message_type
        if inner is not None:
            if inner.full_name == Timestamp.DESCRIPTOR.full_name:
                return dict(_TIME)
            if inner.full_name == struct_pb2.Struct.DESCRIPTOR.full_name:
                return {"type": "object", "additionalProperties": True}
            return self._reference(inner, (), reply=reply)
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        return _SCALARS[field.cpp_type] | _limits(field)


def _limits(field: FieldDescriptor) -> Schema:
    """What `json_field` says of a single value."""
    option = field.GetOptions().Extensions[policy_pb2.json_field]
    said: Schema = {
        "format": option.format or None,
        "pattern": option.pattern or None,
        "minLength": option.min_length if option.HasField("min_length") else None,
        "maxLength": option.max_length if option.HasField("max_length") else None,
        "minimum": option.minimum if option.HasField("minimum") else None,
        "maximum": option.maximum if option.HasField("maximum") else None,
        "enum": list(option.one_of) or None,
    }
    return {keyword: value for keyword, value in said.items() if value is not None}


def _least_items(field: FieldDescriptor) -> Schema:
    option = field.GetOptions().Extensions[policy_pb2.json_field]
    return {"minItems": option.min_items} if option.HasField("min_items") else {}


def _required(field: FieldDescriptor) -> bool:
    return not (field.has_presence or field.is_repeated)


def _never_null(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[policy_pb2.json_field].not_null)


def _omitted(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[policy_pb2.json_field].omit_if_absent)


def _or_null(schema: Schema, *, leave: bool) -> Schema:
    if leave:
        return schema
    if "type" in schema:
        nothing = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return schema | {"type": [schema["type"], "null"]} | nothing
    return {"anyOf": [schema, {"type": "null"}]}
