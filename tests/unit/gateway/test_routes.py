"""Mistakes in a .proto that must stop the gateway at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from coffer.type.v1 import policy_pb2
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

from gateway.reply import ReplyWriter
from gateway.routes import routes_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor


def service(
    rule: http_pb2.HttpRule | None,
    reply: Any = None,
    policy: policy_pb2.Policy | None = None,
    **method: Any,
) -> ServiceDescriptor:
    """A service with one rpc, `Do`, whose request has one field, `id`."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.message_type.add(name="M").field.add(name="id", number=1, type=9, label=1)
    rpc = file.service.add(name="S").method.add(
        name="Do", input_type=".t.M", output_type=".t.M", **method
    )
    if rule is not None:
        rpc.options.Extensions[annotations_pb2.http].CopyFrom(rule)
    if reply is not None:
        rpc.options.Extensions[policy_pb2.http_reply].CopyFrom(reply)
    if policy is not None:
        rpc.options.Extensions[policy_pb2.policy].CopyFrom(policy)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("t.S")


def test_an_error_that_is_not_of_the_contract_is_refused() -> None:
    rule = http_pb2.HttpRule(get="/v1/things/{id}")
    assert routes_of(service(rule, policy_pb2.HttpReply(errors=["key_revoked"])))
    with pytest.raises(TypeError, match="its errors are not all codes"):
        routes_of(service(rule, policy_pb2.HttpReply(errors=["key_revokd"])))


def test_an_entity_tag_must_be_a_member_of_the_body() -> None:
    rule = http_pb2.HttpRule(get="/v1/things/{id}")
    (route,) = routes_of(service(rule, policy_pb2.HttpReply(etag="version")))
    with pytest.raises(TypeError, match="etag names no member"):
        ReplyWriter(route)


def test_an_rpc_without_a_rule_has_no_route() -> None:
    assert routes_of(service(None)) == []


def test_a_route_is_what_the_options_say() -> None:
    rule = http_pb2.HttpRule(patch="/v1/things/{id}/x", body="*", response_body="id")
    reply = policy_pb2.HttpReply(status=201, location="/v1/things/{id}")
    (route,) = routes_of(service(rule, reply))
    assert (route.method, route.template, route.status) == ("PATCH", "/v1/things/{id}/x", 201)
    assert route.segments == ("v1", "things", None, "x")
    assert route.path_fields == ("id",)
    assert route.takes_body
    assert route.enveloped
    assert (route.location, route.response_body) == ("/v1/things/{id}", "id")


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (http_pb2.HttpRule(get="/v2/things"), "below neither"),
        (http_pb2.HttpRule(get="/v1/things/"), "empty segment"),
        (http_pb2.HttpRule(get="/v1/{other}"), "not `{field}`"),
        (http_pb2.HttpRule(get="/v1/{id=things/*}"), "not `{field}`"),
        (http_pb2.HttpRule(post="/v1/things", body="id"), "body"),
        (http_pb2.HttpRule(custom=http_pb2.CustomHttpPattern(kind="HEAD", path="/v1/x")), "verb"),
        (
            http_pb2.HttpRule(get="/v1/x", additional_bindings=[http_pb2.HttpRule(get="/v1/y")]),
            "additional",
        ),
    ],
)
def test_a_rule_that_is_not_known_is_refused(rule: http_pb2.HttpRule, fault: str) -> None:
    with pytest.raises(TypeError, match=fault):
        routes_of(service(rule))


OPEN = policy_pb2.Policy(open=policy_pb2.OpenPolicy())
ADMIN = policy_pb2.Policy(admin=policy_pb2.AdminPolicy())


def test_what_is_open_to_anybody_is_bare_and_may_be_cached() -> None:
    (route,) = routes_of(service(http_pb2.HttpRule(get="/.well-known/keys"), policy=OPEN))
    assert route.public
    assert not route.enveloped


@pytest.mark.parametrize(
    ("rule", "policy", "fault"),
    [
        (http_pb2.HttpRule(get="/admin/x"), OPEN, "its policy is open"),
        (http_pb2.HttpRule(get="/v1/x"), OPEN, "its policy is open"),
        (http_pb2.HttpRule(get="/.well-known/x"), ADMIN, "not an open GET"),
        (http_pb2.HttpRule(get="/.well-known/x"), None, "not an open GET"),
        (http_pb2.HttpRule(post="/.well-known/x", body="*"), OPEN, "not an open GET"),
    ],
)
def test_what_is_open_is_below_its_own_path_and_nothing_else_is(
    rule: http_pb2.HttpRule, policy: policy_pb2.Policy | None, fault: str
) -> None:
    with pytest.raises(TypeError, match=fault):
        routes_of(service(rule, policy=policy))


def test_a_stream_has_no_route() -> None:
    with pytest.raises(TypeError, match="streams"):
        routes_of(service(http_pb2.HttpRule(get="/v1/x"), server_streaming=True))
