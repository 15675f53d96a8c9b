"""Which rpc answers which method and path: read from the descriptors, never written down here.

Source of the bindings: `google.api.http` (google/api/http.proto) and `coffer.type.v1.http_reply` beside each
rpc. Of the former this knows what the contract uses: one binding with get, put, post, patch or delete, plain
`{field}` path segments, body `*` or none, `response_body`. Anything else is refused when routes are built, so
a mistake in a .proto stops the gateway at its start (and in the tests), not at a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coffer.type.v1 import policy_pb2
from google.api import annotations_pb2, http_pb2

from services.common.errors import CODES

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

_VERBS: Final = ("get", "put", "post", "patch", "delete")
ENVELOPED: Final = "/v1/"
"""Replies below this path are wrapped in `data` and `meta`; all others are bare."""
BARE: Final = "/admin/"
PUBLIC: Final = "/.well-known/"
"""Replies below this path (RFC 8615) are bare, open to anybody and may be cached; nothing else is open."""
DEFAULT_STATUS: Final = 200


@dataclass(frozen=True, slots=True)
class Route:
    """One rpc's HTTP binding. `template` is such as `/v1/secrets/{id}`; unset texts are empty."""

    rpc: MethodDescriptor
    method: str
    template: str
    takes_body: bool
    status: int
    location: str
    etag: str
    response_body: str
    body_oneof: str
    raw_json_body: str
    errors: tuple[str, ...]

    @property
    def segments(self) -> tuple[str | None, ...]:
        """The path's segments; None where any text fits."""
        return tuple(None if _is_field(part) else part for part in self.template[1:].split("/"))

    @property
    def path_fields(self) -> tuple[str, ...]:
        """Request fields that the path gives, in its order."""
        return tuple(part[1:-1] for part in self.template.split("/") if _is_field(part))

    @property
    def enveloped(self) -> bool:
        """Whether the reply is wrapped in `data` and `meta`."""
        return self.template.startswith(ENVELOPED)

    @property
    def public(self) -> bool:
        """Whether anybody may ask, and keep the reply for a while."""
        return self.template.startswith(PUBLIC)


def _is_field(segment: str) -> bool:
    return segment.startswith("{")


def routes_of(service: ServiceDescriptor) -> list[Route]:
    """The routes of a service, in the order of its rpcs. Raises TypeError for what is not known here."""
    found = (_route(rpc) for rpc in service.methods)
    return [route for route in found if route is not None]


def _route(rpc: MethodDescriptor) -> Route | None:
    options = rpc.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return None
    rule = options.Extensions[annotations_pb2.http]
    reply = options.Extensions[policy_pb2.http_reply]
    verb = rule.WhichOneof("pattern") or ""
    template: str = getattr(rule, verb) if verb in _VERBS else ""
    _refuse_unknown(rpc, rule, verb, template)
    return Route(
        rpc=rpc,
        method=verb.upper(),
        template=template,
        takes_body=bool(rule.body),
        status=reply.status or DEFAULT_STATUS,
        location=reply.location,
        etag=reply.etag,
        response_body=rule.response_body,
        body_oneof=reply.body_oneof,
        raw_json_body=reply.raw_json_body,
        errors=tuple(reply.errors),
    )


def _refuse_unknown(rpc: MethodDescriptor, rule: http_pb2.HttpRule, verb: str, path: str) -> None:
    request = rpc.input_type.fields_by_name
    segments = path.split("/")[1:]
    is_open = rpc.GetOptions().Extensions[policy_pb2.policy].HasField("open")
    public = path.startswith(PUBLIC)
    faults = {
        "its HTTP verb is not known here": verb not in _VERBS,
        "its path is below neither /v1/ nor /admin/ nor /.well-known/": not path.startswith(
            (ENVELOPED, BARE, PUBLIC)
        ),
        "its policy is open though its path is not below /.well-known/": is_open and not public,
        "its path is below /.well-known/ though it is not an open GET": public
        and not (is_open and verb == "get"),
        "its path has an empty segment": "" in segments,
        "its body is neither `*` nor nothing": rule.body not in {"", "*"},
        "it has additional bindings": bool(rule.additional_bindings),
        "it streams": rpc.client_streaming or rpc.server_streaming,
        "its errors are not all codes of the wire contract": not CODES.keys()
        >= {*rpc.GetOptions().Extensions[policy_pb2.http_reply].errors},
        "a path segment is not `{field}` of the request": any(
            _is_field(part) and part[1:-1] not in request for part in segments
        ),
    }
    for fault, found in faults.items():
        if found:
            raise TypeError(f"{rpc.full_name}: {fault}")
