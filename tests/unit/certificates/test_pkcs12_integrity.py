"""The MAC of a PKCS#12: every hash in use, PBMAC1, and what is wrong with either."""

import pytest

from services.secrets.certificates import CertificateRefused, read_certificate
from tests.fakes import pkcs12
from tests.fakes.certificates import NOW, issue
from tests.fakes.pkcs12 import (
    DIGESTS,
    Mac,
    certificate_bag,
    digest_info,
    integer,
    mac,
    octets,
    oid,
    pbmac1,
    pfx,
    plain,
    sent,
    seq,
    wide,
)

CERTIFICATE = plain(certificate_bag(issue()))


def reason(made: Mac, passphrase: str | None = "x") -> str | None:
    """None when the file opens."""
    try:
        read_certificate(sent(pfx(CERTIFICATE, mac=made)), None, passphrase, "pfx", NOW)
    except CertificateRefused as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize("digest", DIGESTS)
def test_every_hash_in_use(digest: str) -> None:
    assert reason(mac(wide("x"), digest)) is None
    assert reason(mac(wide("x"), digest), "y") == "wrong_passphrase"


def test_left_out_iterations_are_one() -> None:
    assert reason(mac(wide("x"), rounds=None)) is None
    assert reason(mac(wide("x"), rounds=1)) is None


def test_a_hash_nobody_here_knows_is_named() -> None:
    def gost(_: bytes) -> bytes:
        return seq(digest_info("1.2.643.7.1.1.2.3", b"x" * 64), octets(b"salt"), integer(2000))

    with pytest.raises(CertificateRefused) as caught:
        read_certificate(sent(pfx(CERTIFICATE, mac=gost)), None, "x", "pfx", NOW)
    assert caught.value.reason == "unsupported_algorithm"
    assert "1.2.643.7.1.1.2.3" in caught.value.message


def test_a_truncated_mac_is_not_taken_for_the_right_one() -> None:
    for octets_kept in (0, 1, 19):

        def cut(authenticated: bytes, kept: int = octets_kept) -> bytes:
            value = mac(wide("x"))(authenticated)
            digest = value[value.index(b"\x04\x14") + 2 :][:20]
            return seq(digest_info(DIGESTS["sha1"], digest[:kept]), octets(b"saltsalt"), integer(3))

        assert reason(cut) == "wrong_passphrase"


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [20, 32, 64])
def test_pbmac1(digest: str, size: int) -> None:
    made = pbmac1("x", digest=digest, size=size)
    assert reason(made) is None
    assert reason(made, "y") == "wrong_passphrase"
    assert reason(made, None) == "passphrase_required"
    assert reason(pbmac1("", digest=digest, size=size), None) is None


@pytest.mark.parametrize("size", [0, 1, 19, 100_000])
def test_pbmac1_with_an_absurd_length_of_its_key_is_damage(size: int) -> None:
    """RFC 9579 section 9: a short key could be guessed whatever the passphrase."""

    def made(_: bytes) -> bytes:
        parameters = seq(pkcs12.pbkdf2(3, size), seq(oid("1.2.840.113549.2.9")))
        info = digest_info("1.2.840.113549.1.5.14", b"x" * 32, parameters)
        return seq(info, octets(b"NOT USED"), integer(1))

    assert reason(made) == "malformed"


def test_pbmac1_with_a_function_nobody_here_knows() -> None:
    for derivation, scheme in (
        (seq(oid("1.2.3.4")), seq(oid("1.2.840.113549.2.9"))),
        (pkcs12.pbkdf2(3, 32), seq(oid("1.2.3.4"))),
    ):

        def made(_: bytes, parameters: bytes = seq(derivation, scheme)) -> bytes:
            info = digest_info("1.2.840.113549.1.5.14", b"x" * 32, parameters)
            return seq(info, octets(b"NOT USED"), integer(1))

        assert reason(made) == "unsupported_algorithm"


@pytest.mark.parametrize(
    "data",
    [
        seq(),
        seq(seq(), octets(b"salt"), integer(1)),
        seq(digest_info(DIGESTS["sha1"], b"x" * 20)),
        seq(digest_info(DIGESTS["sha1"], b"x" * 20), integer(1), octets(b"salt")),
        seq(digest_info(DIGESTS["sha1"], b"x" * 20), octets(b"salt"), octets(b"1")),
        seq(digest_info(DIGESTS["sha1"], b"x" * 20), octets(b"salt"), integer(0)),
        seq(digest_info(DIGESTS["sha1"], b"x" * 20), octets(b"salt"), integer(-1)),
        seq(seq(seq(oid(DIGESTS["sha1"])), integer(1)), octets(b"salt"), integer(1)),
        seq(digest_info("1.2.840.113549.1.5.14", b"x" * 32), octets(b"salt"), integer(1)),
        seq(digest_info("1.2.840.113549.1.5.14", b"x" * 32, seq()), octets(b"salt"), integer(1)),
    ],
)
def test_a_broken_mac_is_damage(data: bytes) -> None:
    assert reason(lambda _: data) == "malformed"
