"""Which certificate of a file is meant, and what its owner should know about the rest."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from services.secrets.certificates import CertificateMetadata, read_certificate
from tests.fakes.certificates import (
    NOW,
    Issued,
    chain,
    ec_key,
    encrypted_pem,
    issue,
    key_pem,
    patched,
    rsa_key,
)

MADE = chain()
ROOT, INTERMEDIATE, LEAF = MADE.root.pem, MADE.intermediate.pem, MADE.leaf.pem
SUBJECT = "CN=example.com, O=Example Inc, C=US"


def metadata(content: str, key: str | None = None) -> CertificateMetadata:
    return read_certificate(content, key, None, "pem", NOW).metadata


def codes(facts: CertificateMetadata) -> list[str]:
    return [warning.code for warning in facts.warnings]


@pytest.mark.parametrize("key", [None, MADE.leaf.key_pem], ids=["without-key", "with-key"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (LEAF + INTERMEDIATE + ROOT, []),
        (LEAF + INTERMEDIATE, []),
        (LEAF, ["incomplete_chain"]),
        (LEAF + ROOT, ["incomplete_chain"]),
        (LEAF + ROOT + INTERMEDIATE, ["chain_out_of_order"]),
        (ROOT + INTERMEDIATE + LEAF, ["chain_out_of_order"]),
        (INTERMEDIATE + LEAF, ["chain_out_of_order"]),
        (INTERMEDIATE + LEAF + ROOT, ["chain_out_of_order"]),
        (LEAF + LEAF + INTERMEDIATE, ["chain_out_of_order"]),
    ],
    ids=["full", "served", "alone", "gap", "mixed", "reversed", "upside-down", "middle", "twice"],
)
def test_order_and_gaps(content: str, key: str | None, expected: list[str]) -> None:
    facts = metadata(content, key)
    assert facts.subject == SUBJECT
    assert codes(facts) == expected
    assert facts.chain_length == content.count("BEGIN")


def test_a_bundle_of_authorities_is_about_its_first() -> None:
    facts = metadata(INTERMEDIATE + ROOT)
    assert facts.subject == "CN=Test Intermediate, O=Example Inc, C=US"
    assert codes(facts) == []
    assert codes(metadata(ROOT)) == ["self_signed"]
    assert metadata(ROOT + INTERMEDIATE).subject == "CN=Test Root, O=Example Inc, C=US"


def test_an_authority_with_the_right_name_and_the_wrong_key_is_no_issuer() -> None:
    impostor = issue("Test Intermediate", by=MADE.root, ca=True)
    assert codes(metadata(LEAF + impostor.pem)) == ["incomplete_chain"]
    assert codes(metadata(LEAF + impostor.pem + INTERMEDIATE)) == [
        "chain_out_of_order",
        "incomplete_chain",
    ]


def test_of_two_leaves_the_one_of_the_key_is_meant() -> None:
    other = issue("other.example", by=MADE.intermediate)
    content = LEAF + other.pem + INTERMEDIATE
    assert metadata(content).subject == SUBJECT
    facts = metadata(content, other.key_pem)
    assert facts.subject == "CN=other.example, O=Example Inc, C=US"
    assert "chain_out_of_order" in codes(facts)


def test_names_that_point_in_a_circle_end() -> None:
    first = issue("A", ca=True)
    second = issue("B", by=first, ca=True)
    again = issue("A", by=second, key=first.key, ca=True)
    leaf = issue(by=again)
    assert metadata(leaf.pem + again.pem + second.pem).chain_length == 3


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-100, 365, []),
        (-100, -1, ["expired"]),
        (1, 365, ["not_yet_valid"]),
        (-100, 29, ["expires_soon"]),
        (-100, 31, []),
        (-100, 0, ["expires_soon"]),
        (0, 365, []),
    ],
)
def test_dates(begins: int, ends: int, expected: list[str]) -> None:
    day = timedelta(days=1)
    leaf = issue(by=MADE.root, not_before=NOW + begins * day, not_after=NOW + ends * day)
    assert codes(metadata(leaf.pem + ROOT)) == expected


def test_an_expired_issuer_is_told_from_an_expired_leaf() -> None:
    old = issue("Old CA", by=MADE.root, ca=True, not_after=NOW - timedelta(days=1))
    leaf = issue(by=old)
    (warning,) = metadata(leaf.pem + old.pem).warnings
    assert warning.code == "expired"
    assert "Certificate 2 of the file is expired" in warning.message


def test_a_certificate_that_is_no_part_of_the_chain_is_not_called_one() -> None:
    stranger = issue("Stranger", ca=True, not_after=NOW - timedelta(days=1))
    facts = metadata(LEAF + INTERMEDIATE + ROOT + stranger.pem)
    messages = {warning.code: warning.message for warning in facts.warnings}
    assert messages["expired"] == "Certificate 4 of the file is expired."


def test_many_expired_members_make_one_warning() -> None:
    old = issue("Old CA", ca=True, not_after=NOW - timedelta(days=1))
    leaf = issue(by=old)
    facts = metadata(leaf.pem + old.pem * 3)
    assert codes(facts).count("expired") == 1
    assert any("and 2 more" in warning.message for warning in facts.warnings)


def test_weak_keys_and_signatures() -> None:
    weak = issue(key=rsa_key(1024), by=MADE.root)
    assert codes(metadata(weak.pem + ROOT, key_pem(rsa_key(1024)))) == ["weak_key"]
    signer = issue("RSA Root", key=rsa_key(), ca=True)
    old_leaf = with_sha1(issue(by=signer))
    assert "weak_signature" in codes(metadata(old_leaf + signer.pem))
    assert metadata(old_leaf).signature_algorithm == "sha1WithRSAEncryption"


def with_sha1(issued: Issued) -> str:
    """The library no longer signs with SHA-1, so the certificate only claims it."""
    sha256, sha1 = "2a864886f70d01010b", "2a864886f70d010105"
    return patched(issued, bytes.fromhex(sha256), bytes.fromhex(sha1))


def test_a_self_signed_certificate_says_so_and_not_that_its_chain_is_incomplete() -> None:
    assert codes(metadata(issue().pem)) == ["self_signed"]


def test_methods_that_are_easily_broken_are_named_each_once() -> None:
    keys = [
        encrypted_pem(MADE.leaf.key, "x", rounds=2, triple_des=True),
        encrypted_pem(ec_key(), "x", rounds=2, triple_des=True),
        key_pem(ec_key(), "x", PrivateFormat.TraditionalOpenSSL),
        key_pem(ec_key(), "x"),
    ]
    facts = read_certificate("".join(keys) + LEAF, None, "x", "pem", NOW).metadata
    (warning,) = [found for found in facts.warnings if found.code == "legacy_encryption"]
    assert warning.message.count("DES-EDE3-CBC") == 1
    assert "MD5" in warning.message
