"""The comments of the .proto files, by the full name of what they stand above."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2

_MESSAGES, _SERVICES, _FIELDS, _METHODS, _NESTED = 4, 6, 2, 2, 3
"""Field numbers in descriptor.proto: the steps of a SourceCodeInfo path."""


def comments_of(image: descriptor_pb2.FileDescriptorSet) -> dict[str, str]:
    """Leading comments by full name, of messages, fields, services and rpcs of ours; lines joined."""
    found: dict[str, str] = {}
    for file in image.file:
        if file.package.startswith("coffer."):
            for location in file.source_code_info.location:
                name = _name_at(file, list(location.path))
                if name and location.leading_comments:
                    found[name] = " ".join(location.leading_comments.split())
    return found


def _name_at(file: descriptor_pb2.FileDescriptorProto, path: list[int]) -> str | None:
    """The full name of what a SourceCodeInfo path leads to; None for what needs no comment here."""
    names = [file.package]
    here: Any = file
    for kind, index in zip(path[::2], path[1::2], strict=False):
        steps = _STEPS.get(type(here), {})
        if kind not in steps:
            return None
        here = getattr(here, steps[kind])[index]
        names.append(here.name)
    return ".".join(names) if len(path) % 2 == 0 and path else None


_STEPS: Final[dict[type, dict[int, str]]] = {
    descriptor_pb2.FileDescriptorProto: {_MESSAGES: "message_type", _SERVICES: "service"},
    descriptor_pb2.DescriptorProto: {_FIELDS: "field", _NESTED: "nested_type"},
    descriptor_pb2.ServiceDescriptorProto: {_METHODS: "method"},
}
