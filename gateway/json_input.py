"""JSON objects to protobuf messages, by a plan made once per message type.

Members are the proto field names. `null` counts as absent (PATCH tells the two apart: see `binding`).
Unknown members, wrong types and values out of range are collected, all of them, under their JSON path
(`config.region`, `items[2].name`). Promises nothing about which members are required or what they mean:
that is the service's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from google.protobuf import field_mask_pb2, message_factory, struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.json_scalars import Misfit, read_time, reader_of
from gateway.json_syntax import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    from gateway.faults import Faults

    ReadMember = Callable[[object, str, Faults], Any]
    """JSON value, its path, where to put faults -> what the field takes, or None after a fault."""


def read_struct(members: dict[str, object]) -> struct_pb2.Struct:
    """A JSON object as a Struct, unread. Every number becomes a double."""
    struct = struct_pb2.Struct()
    struct.update(cast("dict[str, Any]", members))
    return struct


class MessageReader:
    """Reads one message type. `without` names fields that are no members (path and header fields)."""

    __slots__ = ("_make", "_members")

    def __init__(self, descriptor: Descriptor, without: Collection[str] = ()) -> None:
        self._make = message_factory.GetMessageClass(descriptor)
        self._members: dict[str, ReadMember] = {
            field.name: _member(field) for field in descriptor.fields if field.name not in without
        }
        for oneof in descriptor.oneofs:
            if len(oneof.fields) > 1:
                raise TypeError(
                    f"{oneof.full_name}: a choice between members has no JSON form here"
                )

    def arguments(self, members: dict[str, object], path: str, faults: Faults) -> dict[str, Any]:
        """What to make the message with; not to be used when faults were added."""
        found: dict[str, Any] = {}
        for name, value in members.items():
            read = self._members.get(name)
            if read is None:
                faults.add(path + printable(name), "unknown field")
            elif value is not None:
                result = read(value, path + name, faults)
                if result is not None:
                    found[name] = result
        return found

    def read(self, value: object, path: str, faults: Faults) -> Any:
        """The message in a JSON value, or None after a fault."""
        if type(value) is not dict:
            faults.add(path, "must be an object")
            return None
        before = len(faults)
        found = self.arguments(value, path + ".", faults)
        return self._make(**found) if len(faults) == before else None


def _member(field: FieldDescriptor) -> ReadMember:
    read = _single(field)
    if not field.is_repeated:
        return read

    def read_list(value: object, path: str, faults: Faults) -> list[Any] | None:
        if type(value) is not list:
            faults.add(path, "must be a list")
            return None
        return [read(item, f"{path}[{index}]", faults) for index, item in enumerate(value)]

    return read_list


def _single(field: FieldDescriptor) -> ReadMember:
    inner = field.message_type
    if inner is None:
        return _scalar(reader_of(field))
    if inner.GetOptions().map_entry:
        raise TypeError(f"{field.full_name}: a map has no JSON form here")
    if inner.full_name == Timestamp.DESCRIPTOR.full_name:
        return _scalar(read_time)
    if inner.full_name == struct_pb2.Struct.DESCRIPTOR.full_name:
        return _struct
    if inner.full_name == field_mask_pb2.FieldMask.DESCRIPTOR.full_name:
        raise TypeError(
            f"{field.full_name}: a field mask is not read from JSON, but made of a body"
        )
    return MessageReader(inner).read


def _scalar(read: Callable[[object], object]) -> ReadMember:
    def read_scalar(value: object, path: str, faults: Faults) -> object:
        try:
            return read(value)
        except Misfit as misfit:
            faults.add(path, str(misfit))
            return None

    return read_scalar


def _struct(value: object, path: str, faults: Faults) -> struct_pb2.Struct | None:
    if type(value) is not dict:
        faults.add(path, "must be an object")
        return None
    return read_struct(value)
