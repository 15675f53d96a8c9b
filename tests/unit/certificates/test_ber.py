"""What BER hides from a DER reader: lengths that come later, strings in pieces, and traps."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.secrets.certificates.encodings.ber import MAX_NESTING, first_value, to_der
from services.secrets.certificates.limits import MAX_DECODED_BYTES
from tests.fakes.certificates import chain, tlv
from tests.fakes.pkcs12 import as_ber, integer, octets, seq

NULL = b"\x05\0"
END = b"\0\0"


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def test_der_comes_back_as_the_very_same_object() -> None:
    for data in (chain().leaf.der, hexed("3000"), hexed("0400"), tlv(0x30, tlv(4, b"x" * 70000))):
        assert to_der(data) is data


@pytest.mark.parametrize(
    ("ber", "der"),
    [
        ("3080 0500 0000", "3002 0500"),
        ("3080 3080 0500 0000 3000 0000", "3006 3002 0500 3000"),
        ("3006 3080 0500 0000", "3004 3002 0500"),
        ("a080 3080 0000 0000", "a002 3000"),
        ("3081 02 0500", "3002 0500"),
        ("3084 00000002 0500", "3002 0500"),
        ("3088 0000000000000002 0500", "3002 0500"),
        ("2480 0401 61 0401 62 0000", "0402 6162"),
        ("2406 0401 61 0401 62", "0402 6162"),
        ("2480 2480 0401 61 0000 2403 0401 62 0000", "0402 6162"),
        ("2480 0000", "0400"),
        ("2480 0484 00000001 61 0000", "0401 61"),
        ("2380 0302 00 61 0302 04 60 0000", "0303 04 6160"),
        ("2380 0000", "0301 00"),
        ("2c80 0401 61 0c01 62 0000", "0c02 6162"),
        ("3e80 0402 0061 0000", "1e02 0061"),
        ("a080 0401 61 0401 62 0000", "a006 0401 61 0401 62"),
        ("7f4980 0500 0000", "7f4902 0500"),
        ("3080 9f8101 01 61 0000", "3005 9f8101 01 61"),
    ],
)
def test_each_freedom_of_ber_is_taken_away(ber: str, der: str) -> None:
    found = to_der(hexed(ber))
    assert found.hex() == hexed(der).hex()
    assert to_der(found) is found


def test_a_length_that_grows_when_it_becomes_definite() -> None:
    body = b"\x04\x7f" + b"x" * 127 + b"\x04\x82\x01\x00" + b"y" * 256
    assert to_der(b"\x30\x80" + body + END) == tlv(0x30, body)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "30",
        "3001",
        "3080",
        "3080 0500",
        "3080 0500 00",
        "3084 ffffffff",
        "3089 000000000000000000",
        "30ff",
        "0480 0000",
        "0000",
        "3002 0000",
        "3003 3080 05 00 0000",
        "3004 3080 0000 00",
        "3005 0403 61",
        "3003 0402 6162",
        "2480 0201 61 0000",
        "2480 0000 00",
        "2380 0401 61 0000",
        "2380 0300 0000",
        "2380 0302 04 60 0302 00 61 0000",
        "1f",
        "1f81",
        "1f81818181 00",
        "3002 1f81 00",
        "3000 00",
        "3000 3000",
    ],
)
def test_what_is_no_single_value_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-zA-Z, -]+$"):
        to_der(hexed(broken))


def test_what_follows_a_value_is_handed_back() -> None:
    assert first_value(hexed("3000 0000 0a")) == (hexed("3000"), hexed("0000 0a"))
    assert first_value(hexed("3080 0000 0000")) == (hexed("3000"), hexed("0000"))


@pytest.mark.parametrize("opening", ["3080", "2480", "a080", "3080 0500"])
def test_deep_nesting_is_refused_and_never_a_recursion_error(opening: str) -> None:
    for depth in (MAX_NESTING + 1, 10_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            to_der(hexed(opening) * depth + END * depth)


def test_deep_nesting_in_definite_lengths_is_refused() -> None:
    data = NULL
    for _ in range(MAX_NESTING):
        data = tlv(0x30, data)
    assert to_der(data) is data
    with pytest.raises(ValueError, match="nested too deeply"):
        to_der(tlv(0x30, data))


def test_more_bytes_than_any_content_has_are_not_looked_at() -> None:
    with pytest.raises(ValueError, match="too long"):
        to_der(tlv(0x04, bytes(MAX_DECODED_BYTES)))


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        (b"\x30\x80", NULL, END),
        (b"\x24\x80", b"\x04\0", END),
        (b"\x24\x80", b"\x24\x80\0\0", END),
        (b"\x30\x80" * 63, NULL, END * 63),
        (b"\x24\x80" * 63, b"\x04\x01a", END * 63),
        (b"", b"\x30\x80", b""),
    ],
)
def test_crafted_material_of_the_greatest_size_takes_no_quadratic_time(
    before: bytes, unit: bytes, after: bytes
) -> None:
    count = (MAX_DECODED_BYTES - len(before) - len(after)) // len(unit)
    data = before + unit * count + after
    begun = time.process_time()
    try:
        assert len(to_der(data)) <= len(data) + 4 * 64
    except ValueError:
        assert not before
    assert time.process_time() - begun < 5  # quadratic: minutes


VALUES = st.recursive(
    st.binary(max_size=200).map(octets) | st.integers(0, 2**64).map(integer),
    lambda values: st.lists(values, max_size=5).map(lambda members: seq(*members)),
)


@given(VALUES)
def test_every_value_comes_back_out_of_ber(value: bytes) -> None:
    assert to_der(as_ber(value)) == value


@given(st.lists(st.sampled_from(b"\x30\x80\x24\x23\x04\x03\0\0\x01\x02\x81\xa0\x1f\x7f\x05")))
def test_any_bytes_give_der_or_a_refusal(numbers: list[int]) -> None:
    try:
        value, _ = first_value(bytes(numbers))
    except ValueError:
        return
    assert to_der(value) is value
