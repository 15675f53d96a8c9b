"""What would let a malformed body through, or a well-formed one not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.json_syntax import MAX_DEPTH, JsonSyntaxError, parse_object, printable

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, VALUES))
def test_any_object_is_read_as_it_was_written(members: dict[str, object]) -> None:
    for ascii_only in (True, False):
        assert parse_object(json.dumps(members, ensure_ascii=ascii_only).encode()) == members


@given(st.binary())
def test_any_bytes_are_an_object_or_a_syntax_error(body: bytes) -> None:
    try:
        found = parse_object(body)
    except JsonSyntaxError as error:
        str(error).encode("utf-8")
    else:
        assert type(found) is dict


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_depth_is_counted_in_containers(opening: str) -> None:
    closing = "}" if opening.startswith("{") else "]"

    def nested(depth: int) -> bytes:
        inner = opening * (depth - 1) + "1" + closing * (depth - 1)
        return ('{"a":' + inner + "}").encode("ascii")

    parse_object(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 500, 5_000, 200_000):
        with pytest.raises(JsonSyntaxError, match="levels deep"):
            parse_object(nested(depth))


def test_a_syntax_error_never_quotes_a_value() -> None:
    for body in (b'{"value": "geheim" "x"}', b'{"value": geheim}', b'{"value": "geheim\x00"}'):
        with pytest.raises(JsonSyntaxError) as refused:
            parse_object(body)
        assert "geheim" not in str(refused.value)
        assert refused.value.__cause__ is None


def test_numbers_at_the_edges_of_a_double() -> None:
    assert parse_object(b'{"a": 1.7976931348623157e308}') == {"a": 1.7976931348623157e308}
    assert parse_object(b'{"a": 1e-999}') == {"a": 0.0}
    assert parse_object(b'{"a": 18446744073709551616}') == {"a": 2**64}
    for text in (b"1e309", b"-1e309", b"1" * 309, b"1" * 100_000):
        with pytest.raises(JsonSyntaxError, match="out of range"):
            parse_object(b'{"a": ' + text + b"}")


def test_a_surrogate_pair_is_a_character() -> None:
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_a_printed_name_is_short_and_has_a_utf8_form() -> None:
    assert printable("passphrse") == "passphrse"
    assert len(printable("x" * 1000)) < 80
    printable("\ud800").encode("utf-8")
