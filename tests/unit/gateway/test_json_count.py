"""Bodies within the size limit whose values would hold the event loop for a second."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway import json_syntax
from gateway.app import MAX_BODY_BYTES
from gateway.json_count import MAX_VALUES, too_many_values
from gateway.json_input import read_struct
from gateway.json_syntax import JsonSyntaxError, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a,[{"\\]}:ä')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)


def filled(opening: bytes, item: bytes, closing: bytes) -> bytes:
    """As many items as the body limit holds."""
    room = MAX_BODY_BYTES - len(opening) - len(closing) - len(item)
    return opening + (item + b",") * (room // (len(item) + 1)) + item + closing


MANY = {
    "zeros": filled(b'{"a":[', b"0", b"]}"),
    "empty strings": filled(b'{"a":[', b'""', b"]}"),
    "strings of an escaped quote": filled(b'{"a":[', b'"\\""', b"]}"),
    "nulls": filled(b'{"a":[', b"null", b"]}"),
    "empty lists": filled(b'{"a":[', b"[]", b"]}"),
    "empty objects": filled(b'{"a":[', b"{}", b"]}"),
    "lists 30 deep": filled(b'{"a":[', b"[" * 30 + b"]" * 30, b"]}"),
    "lists 900 deep": filled(b'{"a":[', b"[" * 900 + b"]" * 900, b"]}"),
    "objects 30 deep": filled(b'{"a":[', b'{"":' * 30 + b"0" + b"}" * 30, b"]}"),
    "members": filled(b"{", b'"a":1', b"}"),
    "lists, never closed": b'{"a":' + b"[" * (MAX_BODY_BYTES - 5),
    "objects, never closed": b'{"a":' * (MAX_BODY_BYTES // 5),
    "commas": b"{" + b"," * (MAX_BODY_BYTES - 1),
}


@pytest.mark.parametrize("case", MANY)
def test_a_body_of_too_many_values_is_refused_before_any_is_made(case: str) -> None:
    with (
        mock.patch.object(json_syntax, "_DECODER", None),
        pytest.raises(JsonSyntaxError, match=f"more than {MAX_VALUES} values"),
    ):
        parse_object(MANY[case])


@pytest.mark.parametrize(
    "make",
    [
        lambda n: {"a": [0] * (n - 1)},
        lambda n: {"a": ["x,[{"] * (n - 1)},
        lambda n: {"a": {f"{i},": {"b": None} for i in range((n - 1) // 2)}},
        lambda n: {f'"{i}\\': "y" for i in range(n)},
    ],
)
def test_a_body_at_the_bound_is_read_and_its_message_stays_small(
    make: Callable[[int], dict[str, object]],
) -> None:
    members: dict[str, Any] = make(MAX_VALUES - 1)
    struct = read_struct(parse_object(json.dumps(members).encode()))
    expected = struct_pb2.Struct()
    expected.update(members)
    assert struct == expected
    assert struct.ByteSize() < MAX_BODY_BYTES + MAX_VALUES * 20
    with pytest.raises(JsonSyntaxError, match="values"):
        parse_object(json.dumps(make(MAX_VALUES + 3)).encode())


@pytest.mark.parametrize("text", [",", "[", "{", '"', '\\",', "\\\\,", "ä,", '","'])
def test_a_long_text_is_one_value_whatever_is_in_it(text: str) -> None:
    body = json.dumps({"value": text * 50_000, "n": [1]}, ensure_ascii=False).encode()
    assert len(body) > MAX_VALUES
    assert parse_object(body)["value"] == text * 50_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "' + b'\\"' * 500_000,
        b'{"a": "' + b"," * 1_000_000,
        b'{"a": "' + b"\\" * 999_999 + b",",
        b'"' * 1_000_000,
        b"," * 6_000 + b'"\\' * 300_000,
    ],
)
def test_strings_without_an_end_do_not_take_quadratic_time(body: bytes) -> None:
    with pytest.raises(JsonSyntaxError):
        parse_object(body)


def _count(value: object) -> int:
    """Members and items of all containers, an empty one once more."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return 0
    return max(1, len(value)) + sum(map(_count, inner))  # type: ignore[call-overload]


@given(st.dictionaries(st.text(max_size=3), VALUES), st.booleans())
def test_the_count_is_that_of_the_values(members: dict[str, object], ascii_only: bool) -> None:
    body = json.dumps(members, ensure_ascii=ascii_only).encode()
    count = _count(members)
    with mock.patch("gateway.json_count.MAX_VALUES", count):
        assert not too_many_values(body)
    with mock.patch("gateway.json_count.MAX_VALUES", count - 1):
        assert too_many_values(body)
