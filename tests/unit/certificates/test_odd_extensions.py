"""Extensions that are odd, doubled or damaged, and what can be said all the same."""

import time

import pytest

from services.secrets.certificates import CertificateMetadata, read_certificate
from tests.fakes.certificates import NOW
from tests.fakes.odd_certificates import (
    BASIC_CONSTRAINTS,
    BOOLEAN_TRUE,
    alternative_names,
    authority,
    extension,
    odd,
    odd_pem,
    sequence,
)

KEY_USAGE = "2.5.29.15"


def facts_of(certificate: bytes) -> CertificateMetadata:
    return read_certificate(odd_pem(certificate), None, None, "pem", NOW).metadata


def unreadable(facts: CertificateMetadata) -> str:
    """All that is said to be unreadable, in one text."""
    return " ".join(w.message for w in facts.warnings if w.code == "unreadable_field")


def names_of(*extensions: bytes) -> CertificateMetadata:
    return facts_of(odd(extensions=extensions))


def test_alternative_names_of_every_kind() -> None:
    facts = names_of(
        alternative_names(
            (2, b"xn--bcher-kva.example"),
            (2, "bücher.example".encode()),
            (7, bytes([192, 0, 2, 7])),
            (7, bytes.fromhex("20010db8000000000000000000000001")),
            (7, bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7])),
            (1, b"ops@example.com"),
            (6, b"spiffe://example"),
        )
    )
    assert facts.dns_names == ("xn--bcher-kva.example", "bücher.example")
    assert facts.ip_addresses == ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7")
    assert unreadable(facts) == ""


@pytest.mark.parametrize(
    "beside",
    [
        (1, b"\xe9@example.com"),
        (3, b""),
        (4, b"junk"),
        (5, b""),
        (6, b"\xe9"),
    ],
)
def test_a_name_of_another_kind_hides_no_dns_name(beside: tuple[int, bytes]) -> None:
    facts = names_of(alternative_names(beside, (2, b"a.example"), (7, bytes([192, 0, 2, 7]))))
    assert facts.dns_names == ("a.example",)
    assert facts.ip_addresses == ("192.0.2.7",)


@pytest.mark.parametrize("octets", [b"12345", bytes([192, 0, 2, 7, 255, 255, 255, 0]), b""])
def test_an_address_that_is_none_is_left_out_and_counted(octets: bytes) -> None:
    facts = names_of(alternative_names((2, b"a.example"), (7, octets), (7, bytes(4))))
    assert facts.dns_names == ("a.example",)
    assert facts.ip_addresses == ("0.0.0.0",)
    assert "1 of its dns_names and ip_addresses" in unreadable(facts)


def test_a_network_is_no_address() -> None:
    facts = names_of(alternative_names((7, bytes([192, 0, 2, 0, 255, 255, 255, 0]))))
    assert facts.ip_addresses == ()
    assert "1 of its" in unreadable(facts)


def test_a_name_in_latin_1_is_shown_and_one_with_a_zero_is_left_out() -> None:
    facts = names_of(
        alternative_names((2, "bücher.example".encode("latin-1")), (2, b"evil\0.example"))
    )
    assert facts.dns_names == ("bücher.example",)
    assert "1 of its" in unreadable(facts)


def test_repeated_extensions_are_read_and_named() -> None:
    facts = names_of(
        alternative_names((2, b"a.example")),
        alternative_names((2, b"b.example")),
        authority(),
        authority(),
    )
    assert facts.dns_names == ("a.example", "b.example")
    assert facts.is_ca is True
    assert "2.5.29.17, 2.5.29.19 more than once" in unreadable(facts)


def test_repeated_constraints_that_disagree_are_null() -> None:
    facts = names_of(authority(), extension(BASIC_CONSTRAINTS, sequence()))
    assert facts.is_ca is None
    assert "is_ca" in unreadable(facts)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (sequence(), False),
        (sequence(b"\1\1\0"), False),
        (sequence(b"\1\1\1"), True),
        (sequence(BOOLEAN_TRUE), True),
        (sequence(BOOLEAN_TRUE, b"\2\1\xff"), True),
        (sequence(b"\2\1\0"), False),
        (b"junk", None),
        (sequence(b"\4\1\0"), None),
        (sequence(BOOLEAN_TRUE) + b"\5\0", None),
    ],
)
def test_basic_constraints(value: bytes, expected: bool | None) -> None:
    facts = names_of(
        extension(BASIC_CONSTRAINTS, value),
        extension(KEY_USAGE, b"junk"),
        alternative_names((2, b"a.example")),
    )
    assert facts.is_ca is expected
    assert ("is_ca" in unreadable(facts)) == (expected is None)
    assert facts.dns_names == ("a.example",)


def test_missing_and_empty_extensions_are_no_fault() -> None:
    for extensions in (None, ()):
        facts = facts_of(odd(extensions=extensions))
        assert (facts.is_ca, facts.dns_names, unreadable(facts)) == (False, (), "")


def test_thousands_of_repeated_extensions_cost_no_thousands_squared() -> None:
    crowd = tuple(extension(f"1.{1 + at % 38}.{at}", b"") for at in range(6_000))
    began = time.process_time()
    facts = names_of(*crowd, *crowd)
    assert time.process_time() - began < 2
    assert facts.subject == "CN=odd.example"
    assert facts.is_ca is None
    assert "is_ca" in unreadable(facts)
