"""PKCS#12 made to hurt: it costs little to send, and must cost little to refuse."""

import contextlib
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.secrets.certificates import CertificateRefused, read_certificate
from services.secrets.certificates.limits import MAX_DECODED_BYTES
from tests.fakes import pkcs12
from tests.fakes.certificates import NOW, chain, tlv
from tests.fakes.pkcs12 import (
    DIGESTS,
    as_ber,
    bag,
    certificate_bag,
    digest_info,
    integer,
    key_bag,
    mac,
    octets,
    oid,
    pbe,
    pbes2,
    pbkdf2,
    pbmac1,
    pfx,
    plain,
    sealed,
    sealed_octets,
    sent,
    seq,
    shrouded_bag,
    triple_des,
    usual,
    wide,
)

MADE = chain()
LEAF = MADE.leaf
TEN_MILLION = 10_000_000
BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SOON = 5.0
"""Seconds; refusals that cost no derivation take milliseconds."""


def refused_soon(data: bytes, passphrase: str | None = "x") -> CertificateRefused:
    content = sent(data)
    begun = time.process_time()
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, None, passphrase, "pfx", NOW)
    assert time.process_time() - begun < SOON
    return caught.value


def pbes2_of(rounds: int) -> bytes:
    cipher = seq(oid("2.16.840.1.101.3.4.1.42"), octets(b"\1" * 16))
    return seq(oid("1.2.840.113549.1.5.13"), seq(pbkdf2(rounds), cipher))


def dear_mac(rounds: int) -> bytes:
    return seq(digest_info(DIGESTS["sha1"], b"x" * 20), octets(b"salt"), integer(rounds))


def dear_pbmac1(rounds: int) -> bytes:
    parameters = seq(pbkdf2(rounds, 32), seq(oid("1.2.840.113549.2.9")))
    info = digest_info("1.2.840.113549.1.5.14", b"x" * 32, parameters)
    return seq(info, octets(b"NOT USED"), integer(1))


DEAR: dict[str, Callable[[int], bytes]] = {
    "mac": lambda rounds: pfx(plain(certificate_bag(LEAF)), mac=lambda _: dear_mac(rounds)),
    "pbmac1": lambda rounds: pfx(plain(certificate_bag(LEAF)), mac=lambda _: dear_pbmac1(rounds)),
    "contents": lambda rounds: pfx(
        sealed_octets(pbe("1.2.840.113549.1.12.1.3", rounds), b"8 octets"), mac=mac(wide("x"))
    ),
    "contents in PBES2": lambda rounds: pfx(sealed_octets(pbes2_of(rounds), b"16 octets 16 oct")),
    "key": lambda rounds: pfx(
        plain(bag(2, seq(pbes2_of(rounds), octets(b"16 octets 16 oct"))), certificate_bag(LEAF))
    ),
    "key in what is sealed": lambda rounds: pfx(
        sealed(
            pbes2("x"),
            bag(2, seq(pbes2_of(rounds), octets(b"16 octets 16 oct"))),
            certificate_bag(LEAF),
        ),
        mac=mac(wide("x")),
    ),
    "encrypted key in a bag for plain ones": lambda rounds: pfx(
        plain(bag(1, seq(pbes2_of(rounds), octets(b"16 octets 16 oct"))), certificate_bag(LEAF))
    ),
}


@pytest.mark.parametrize("where", DEAR)
@pytest.mark.parametrize("rounds", [TEN_MILLION, 2**31 - 1, 2**63, 2**4000], ids=int.bit_length)
def test_millions_of_iterations_are_refused_before_the_first(where: str, rounds: int) -> None:
    words = ["x"] if where == "key in what is sealed" else ["x", None]
    for word in words:
        refusal = refused_soon(DEAR[where](rounds), word)
        assert refusal.reason == "unsupported_algorithm"
        assert "iterations" in refusal.message


def test_a_dear_file_whose_passphrase_was_forgotten_is_not_called_too_dear() -> None:
    """As 'openssl pkcs12 -export -iter 600000' makes it: one trial is paid for, two would be too much."""
    rounds = 600_000
    part = sealed_octets(pbes2_of(rounds), b"16 octets 16 oct")
    key = bag(2, seq(pbes2_of(rounds), octets(b"16 octets 16 oct")))
    info = digest_info(DIGESTS["sha256"], b"x" * 32)
    data = pfx(part, plain(key), mac=lambda _: seq(info, octets(b"salt"), integer(rounds)))
    assert refused_soon(data, None).reason == "passphrase_required"


def test_many_parts_that_are_cheap_one_by_one_are_too_dear_together() -> None:
    rounds = 100_000
    bags = [bag(2, seq(pbes2_of(rounds), octets(b"16 octets 16 oct")))] * 1000
    parts = [sealed_octets(pbes2_of(rounds), b"16 octets 16 oct")] * 1000
    for data in (pfx(plain(*bags, certificate_bag(LEAF))), pfx(*parts)):
        refusal = refused_soon(data)
        assert refusal.reason == "unsupported_algorithm"
        assert "together" in refusal.message


def test_thousands_of_parts_that_cost_next_to_nothing() -> None:
    """Each with one iteration, so that no price stops them: what is left must be fast as it is."""
    method = triple_des(wide("x"), 1)
    part = sealed_octets(method.algorithm, method.encrypt(seq()))
    data = pfx(*[part] * ((MAX_DECODED_BYTES - 1000) // len(part)))
    assert refused_soon(data).reason == "no_certificate"
    assert refused_soon(data, "y").reason == "wrong_passphrase"


def test_the_greatest_ciphertext_of_the_slowest_cipher() -> None:
    """RC2, which is ours and in Python."""
    data = bytes((MAX_DECODED_BYTES - 1000) // 8 * 8)
    for arc in (5, 6):
        file = pfx(sealed_octets(pbe(f"1.2.840.113549.1.12.1.{arc}", 1), data))
        assert refused_soon(file).reason == "wrong_passphrase"


def nested(data: bytes, depth: int, layer: Callable[[bytes], bytes]) -> bytes:
    for _ in range(depth):
        data = layer(data)
    return data


@pytest.mark.parametrize("depth", [10, 100, 1000])
def test_contents_nested_in_contents(depth: int) -> None:
    inner = nested(certificate_bag(LEAF), depth, lambda data: bag(6, seq(data)))
    assert refused_soon(pfx(plain(inner))).reason == "malformed"


@pytest.mark.parametrize("opening", [b"\x30\x80", b"\xa0\x80", b"\x24\x80"])
def test_nesting_without_end(opening: bytes) -> None:
    depth = MAX_DECODED_BYTES // 8
    deep = opening * depth + b"\0\0" * depth
    head = seq(integer(3), seq(oid(pkcs12.DATA)))[2:]
    for data in (
        b"\x30\x80" + head + opening * depth,
        pkcs12.pfx_of(deep),
        pfx(plain(bag(3, deep))),
        pfx(plain(key_bag(LEAF.key), bag(1, tlv(0x30, deep)), certificate_bag(LEAF))),
    ):
        assert refused_soon(data).reason == "malformed"


def test_crowds_of_tiny_elements() -> None:
    crowd = b"\x05\0" * ((MAX_DECODED_BYTES - 1000) // 2)
    for data in (
        pkcs12.pfx_of(seq(crowd)),
        pfx(plain(crowd)),
        pfx(plain(bag(3, seq(crowd)))),
        pfx(plain(certificate_bag(tlv(0x30, crowd)))),
        pfx(plain(bag(1, seq(crowd)), certificate_bag(LEAF))),
    ):
        assert refused_soon(data).reason in {"malformed", "invalid_private_key"}


@pytest.mark.parametrize("length", [b"\x84\xff\xff\xff\xff", b"\x88" + b"\xff" * 8, b"\x89" * 9])
def test_lengths_that_lie(length: bytes) -> None:
    body = usual(LEAF, "x")[4:]
    assert refused_soon(b"\x30" + length + body).reason in {"malformed", "not_this_format"}
    data = pkcs12.pfx_of(b"\x30" + length + b"\5\0")
    assert refused_soon(data).reason == "malformed"
    assert refused_soon(pfx(plain(bag(3, b"\x30" + length)))).reason == "malformed"


def test_salts_and_other_values_of_absurd_size() -> None:
    huge = b"\xff" * 400_000
    salted = seq(oid("1.2.840.113549.1.12.1.3"), seq(octets(huge), integer(3)))
    numbered = seq(oid("1.2.840.113549.1.12.1.3"), seq(octets(b"salt"), tlv(2, b"\x7f" + huge)))
    for data, reason in (
        (pfx(sealed_octets(salted, b"8 octets")), "wrong_passphrase"),
        (pfx(sealed_octets(numbered, b"8 octets")), "unsupported_algorithm"),
        (pfx(sealed_octets(seq(tlv(6, huge)), b"8 octets")), "malformed"),
        (
            seq(tlv(2, b"\x7f" + huge), pkcs12.content_info(pkcs12.DATA, octets(b""))),
            "malformed",
        ),
    ):
        assert refused_soon(data).reason == reason


FILES = [
    usual(LEAF, "x", [MADE.intermediate]),
    usual(LEAF, "x", layer=as_ber),
    pfx(plain(certificate_bag(LEAF), key_bag(LEAF.key))),
    pfx(sealed(pbes2("x"), certificate_bag(LEAF), key_bag(LEAF.key)), mac=pbmac1("x")),
    pfx(plain(certificate_bag(LEAF), shrouded_bag(LEAF.key, pbes2("x")))),
]


def answered(data: bytes) -> None:
    for passphrase in (None, "x"):
        with contextlib.suppress(CertificateRefused):
            material = read_certificate(sent(data), None, passphrase, "pfx", NOW)
            json.dumps(material.metadata.to_json())


@BOUNDED
@given(st.sampled_from(FILES), st.integers(0, 3000), st.binary(min_size=1, max_size=4))
def test_any_bite_out_of_a_real_file(file: bytes, at: int, replacement: bytes) -> None:
    at %= len(file)
    answered(file[:at] + replacement + file[at + len(replacement) :])


@BOUNDED
@given(st.sampled_from(FILES), st.integers(0, 3000), st.binary(max_size=9), st.integers(0, 9))
def test_any_slip_in_a_real_file(file: bytes, at: int, inserted: bytes, dropped: int) -> None:
    answered(file[:at] + inserted + file[at + dropped :])


def test_no_refusal_shows_a_byte_of_the_file_or_the_passphrase() -> None:
    """What the file holds at these places is text that would be recognised."""
    canary = b"CANARYCANARYCANA"
    method = triple_des(wide("word-canary"))
    files = [
        pfx(plain(certificate_bag(canary))),
        pfx(plain(bag(1, canary), certificate_bag(LEAF))),
        pfx(plain(bag(1, octets(canary)), certificate_bag(LEAF))),
        pfx(plain(canary)),
        pfx(sealed_octets(method.algorithm, canary)),
        pfx(sealed_octets(method.algorithm, method.encrypt(tlv(0x30, canary)))),
        pfx(plain(shrouded_bag(tlv(0x30, canary), method), certificate_bag(LEAF))),
        pkcs12.pfx_of(canary),
        usual(LEAF, "x") + canary,
        canary,
    ]
    for data in files:
        refusal = refused_soon(data, "word-canary")
        assert "canary" not in f"{refusal!r} {refusal}".lower()
        assert b"CANARY".hex() not in repr(refusal)
