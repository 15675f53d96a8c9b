"""Messages and JSON objects: what could be lost or invented on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from coffer.kms.v1 import kms_pb2
from coffer.rewrap.v1 import rewrap_pb2
from coffer.secrets.v1 import secrets_pb2
from google.protobuf import descriptor_pb2, struct_pb2

from gateway.faults import Faults
from gateway.json_input import MessageReader, read_struct
from gateway.json_output import MessageWriter, encode, struct_value
from services.common.errors import ValidationError


def read(reader: MessageReader, members: dict[str, object]) -> tuple[dict[str, Any], Faults]:
    faults = Faults()
    return reader.arguments(members, "", faults), faults


def test_faults_in_nested_messages_have_their_json_path() -> None:
    reader = MessageReader(kms_pb2.VerifyTenantKmsResponse.DESCRIPTOR)
    members: dict[str, object] = {
        "ok": "yes",
        "latency_ms": {"wrap": "1", "open": 2},
        "checks": [{"name": "a"}, {"name": 1, "ok": 0}, "b", None],
    }
    _, faults = read(reader, members)
    assert faults.error().fields == {
        "ok": ["must be true or false"],
        "latency_ms.wrap": ["must be a number"],
        "latency_ms.open": ["unknown field"],
        "checks[1].name": ["must be a string"],
        "checks[1].ok": ["must be true or false"],
        "checks[2]": ["must be an object"],
        "checks[3]": ["must be an object"],
    }


def test_a_whole_message_goes_in_and_comes_out() -> None:
    members: dict[str, object] = {
        "ok": True,
        "latency_ms": {"wrap": 12.5, "unwrap": 3.0},
        "checks": [{"name": "wrap", "ok": True, "detail": "ü"}],
    }
    descriptor = kms_pb2.VerifyTenantKmsResponse.DESCRIPTOR
    arguments, faults = read(MessageReader(descriptor), members)
    assert len(faults) == 0
    message = kms_pb2.VerifyTenantKmsResponse(**arguments)
    assert MessageWriter(descriptor).members(message) == members


def test_a_list_must_be_a_list_and_an_object_an_object() -> None:
    reader = MessageReader(kms_pb2.VerifyTenantKmsResponse.DESCRIPTOR)
    _, faults = read(reader, {"checks": {}, "latency_ms": []})
    assert faults.error().fields == {
        "checks": ["must be a list"],
        "latency_ms": ["must be an object"],
    }
    reader = MessageReader(kms_pb2.PutTenantKmsRequest.DESCRIPTOR)
    _, faults = read(reader, {"body": [1]})
    assert faults.error().fields == {"body": ["must be an object"]}


def test_a_message_that_json_cannot_say_is_refused_when_the_plan_is_made() -> None:
    with pytest.raises(TypeError, match="choice"):
        MessageReader(kms_pb2.UnwrapDataKeysResponse.DESCRIPTOR)
    with pytest.raises(TypeError, match="map"):
        MessageReader(struct_pb2.Struct.DESCRIPTOR)
    with pytest.raises(TypeError, match="map"):
        MessageWriter(struct_pb2.Struct.DESCRIPTOR)


def test_a_struct_keeps_everything_it_was_given() -> None:
    members: dict[str, object] = {
        "": {"empty": {}, "list": [], "null": None},
        "numbers": [0, -1, 5, 0.5, 2**53, True, False],
        "text": "ü\u0000\U0001f600",
    }
    again = struct_value(struct_pb2.Struct.FromString(read_struct(members).SerializeToString()))
    assert again == members
    assert encode(again["numbers"]) == "[0,-1,5,0.5,9007199254740992,true,false]"


def test_a_number_that_json_does_not_know_becomes_null() -> None:
    struct = struct_pb2.Struct()
    struct["bad"] = float("nan")
    struct["worse"] = float("inf")
    assert struct_value(struct) == {"bad": None, "worse": None}
    lease = rewrap_pb2.RewrapLease(rate_per_second=float("inf"))
    members = MessageWriter(rewrap_pb2.RewrapLease.DESCRIPTOR).members(lease)
    assert members["rate_per_second"] is None


def test_zero_and_empty_are_not_absent() -> None:
    writer = MessageWriter(rewrap_pb2.RewrapLease.DESCRIPTOR)
    lease = rewrap_pb2.RewrapLease(total=0, rate_per_second=0, last_error="")
    members = writer.members(lease)
    assert (members["total"], members["rate_per_second"], members["last_error"]) == (0, 0.0, "")
    lease.started_at.SetInParent()
    assert writer.members(lease)["started_at"] == "1970-01-01T00:00:00.000Z"
    assert writer.members(lease)["finished_at"] is None


def test_a_member_that_belongs_to_another_kind_of_row_is_left_out() -> None:
    members = MessageWriter(secrets_pb2.Secret.DESCRIPTOR).members(secrets_pb2.Secret())
    assert "certificate_type" not in members
    assert "metadata" not in members
    assert members["description"] is None


def test_enums_and_bytes_have_a_json_form() -> None:
    field = descriptor_pb2.FieldDescriptorProto(type=descriptor_pb2.FieldDescriptorProto.TYPE_BYTES)
    assert MessageWriter(field.DESCRIPTOR).members(field)["type"] == "TYPE_BYTES"
    key = kms_pb2.UnwrapDataKeysRequest.Item(id=b"\xff\xfe")
    assert MessageWriter(key.DESCRIPTOR).members(key)["id"] == "//4="


def test_json_is_utf8_and_one_line() -> None:
    assert encode({"a": "ü\n", "b": 2**62}) == '{"a":"ü\\n","b":4611686018427387904}'
    assert json.loads(encode({"a": "\u2028"})) == {"a": "\u2028"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))


def test_faults_are_bounded_but_counted() -> None:
    faults = Faults()
    for number in range(10_000):
        faults.add(f"field_{number}", "unknown field")
    error = faults.error()
    assert isinstance(error, ValidationError)
    assert "10000" in error.message
    assert 10 < len(error.fields) < 200
    assert sum(len(path) for path in error.fields) <= 2048


def test_the_first_fault_is_told_however_long() -> None:
    faults = Faults()
    faults.add("x" * 5_000, "unknown field")
    assert len(faults.error().fields) == 1
