"""The DER reader cuts out exactly what is there, and lets no length lie."""

import time

import pytest

from services.secrets.certificates.encodings import der
from services.secrets.certificates.limits import MAX_DECODED_BYTES
from tests.fakes.certificates import chain, tlv


def leaves(element: der.Element) -> int:
    if not element.tag & 0x20:
        return 1
    inside = element.children()
    assert b"".join(child.encoded for child in inside) == element.body
    return sum(leaves(child) for child in inside)


def test_what_is_cut_out_of_a_structure_is_byte_for_byte_what_it_was() -> None:
    certificate = chain().leaf.der
    found = der.sequence(tlv(0x30, certificate + certificate))
    assert [element.encoded for element in found] == [certificate] * 2
    assert leaves(found[0]) > 20


def test_a_length_in_more_octets_than_needed_is_kept_as_it_was() -> None:
    data = bytes.fromhex("3084 00000003 0401 61".replace(" ", ""))
    assert der.element(data).encoded == data
    assert der.sequence(data)[0].octets() == b"a"


def test_tags_of_several_octets() -> None:
    data = bytes.fromhex("7f49 04 5f8101 00".replace(" ", ""))
    element = der.element(data)
    assert element.tag == 0x7F49
    assert [child.tag for child in element.children()] == [0x5F8101]


def test_context_tags() -> None:
    element = der.element(bytes.fromhex("a103800161"))
    assert element.tag == der.context(1)
    assert element.children()[0].tag == der.context(0, constructed=False)


@pytest.mark.parametrize(
    "broken",
    ["", "30", "3001", "3080", "30850000000000", "308400000001", "30810501", "1f", "1f81", "1f01",
     "1f8181818100", "300030"],
)  # fmt: skip
def test_lengths_and_tags_that_lie_are_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z, ]+$"):
        der.element(bytes.fromhex(broken))


def test_a_member_of_another_type_than_the_structure_has_is_refused() -> None:
    text = der.element(tlv(0x0C, b"a"))
    for reading in (text.members, text.octets, text.integer, text.oid):
        with pytest.raises(ValueError, match=r"^(not an|another)"):
            reading()


def test_no_octets_in_a_representation() -> None:
    assert "61" not in repr(der.element(tlv(4, b"aaaa")))
    assert "aaa" not in repr(der.element(tlv(4, b"aaaa")))


def test_a_crowd_of_tiny_elements_takes_neither_memory_nor_time() -> None:
    crowd = b"\x05\0" * (MAX_DECODED_BYTES // 2)
    begun = time.process_time()
    with pytest.raises(ValueError, match="too many elements"):
        der.elements(crowd)
    assert len(der.elements(crowd[: 2 * der.MAX_SIBLINGS])) == der.MAX_SIBLINGS
    assert time.process_time() - begun < 5
