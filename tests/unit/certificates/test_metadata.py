"""What people are told about a certificate, and what happens when it cannot be read."""

import warnings
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from services.common.rpc.channel import MAX_MESSAGE_BYTES
from services.secrets.certificates import CertificateMetadata, read_certificate
from services.secrets.certificates.facts.metadata import MAX_NAMES, MAX_TEXT_BYTES
from services.secrets.model import SecretRow
from services.secrets.rpc import replies
from tests.fakes.certificates import NOW, Issued, issue, key_pem, patched, rsa_key

if TYPE_CHECKING:
    from services.secrets.model import Metadata


def metadata(content: str, key: str | None = None) -> CertificateMetadata:
    return read_certificate(content, key, None, "pem", NOW).metadata


def codes(facts: CertificateMetadata) -> list[str]:
    return [warning.code for warning in facts.warnings]


def test_json_has_the_documented_members_in_their_order() -> None:
    root = issue("Test Root", ca=True)
    leaf = issue(
        "example.com",
        by=root,
        key=rsa_key(),
        dns=["example.com", "*.example.com"],
        ips=["192.0.2.7", "2001:db8::1"],
        serial=0x0ABCDEF,
    )
    material = read_certificate(
        leaf.pem + root.pem, key_pem(rsa_key(), "open sesame"), "open sesame", "pem", NOW
    )
    assert list(material.metadata.to_json().items()) == [
        ("subject", "CN=example.com, O=Example Inc, C=US"),
        ("issuer", "CN=Test Root, O=Example Inc, C=US"),
        ("expires_at", "2027-01-01T00:00:00.000Z"),
        ("has_private_key", True),
        ("has_passphrase", True),
        ("not_before", "2026-01-01T00:00:00.000Z"),
        ("serial_number", "abcdef"),
        ("sha256_fingerprint", leaf.certificate.fingerprint(hashes.SHA256()).hex()),
        ("dns_names", ["example.com", "*.example.com"]),
        ("ip_addresses", ["192.0.2.7", "2001:db8::1"]),
        ("key_algorithm", "RSA"),
        ("key_size", 2048),
        ("signature_algorithm", "ecdsa-with-SHA256"),
        ("is_ca", False),
        ("chain_length", 2),
        ("warnings", []),
    ]


def test_rsa_signature_has_the_name_that_openssl_gives_it() -> None:
    root = issue("Root", key=rsa_key(), ca=True)
    assert metadata(root.pem).signature_algorithm == "sha256WithRSAEncryption"


def test_ed25519_and_ca_facts() -> None:
    facts = metadata(issue("Root", key=ed25519.Ed25519PrivateKey.generate(), ca=True).pem)
    assert (facts.key_algorithm, facts.key_size, facts.signature_algorithm, facts.is_ca) == (
        "Ed25519",
        256,
        "ED25519",
        True,
    )


@pytest.mark.parametrize(
    ("serial", "shown"), [(1, "01"), (0x80, "80"), (0xFFF, "0fff"), (0x1234, "1234")]
)
def test_serial_number_is_whole_octets(serial: int, shown: str) -> None:
    assert metadata(issue(serial=serial).pem).serial_number == shown


def test_names_are_escaped_not_cut_at_their_commas() -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Müller, Söhne + Co"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ops@example.com"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "HRB 1"),
            x509.NameAttribute(ObjectIdentifier("1.3.6.1.4.1.99999.1"), "x"),
        ]
    )
    assert metadata(issue(subject).pem).subject == (
        "1.3.6.1.4.1.99999.1=x, serialNumber=HRB 1, emailAddress=ops@example.com, "
        r"O=Müller\, Söhne \+ Co, C=DE"
    )


def test_multi_valued_and_empty_names() -> None:
    both = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.USER_ID, "u")]
    )
    assert metadata(issue(x509.Name([both])).pem).subject == "CN=a+UID=u"
    assert metadata(issue(x509.Name([]), dns=["a.example"]).pem).subject == ""


def test_a_name_that_breaks_the_length_rules_is_shown_all_the_same() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the test's own making
        country = x509.NameAttribute(NameOID.COUNTRY_NAME, "USA", _validate=False)
        long = x509.NameAttribute(NameOID.COMMON_NAME, "a" * 80, _validate=False)
        leaf = issue(x509.Name([country, long]))
    assert metadata(leaf.pem).subject == f"CN={'a' * 80}, C=USA"


def test_a_date_of_no_expiry_is_shown_as_rfc_5280_writes_it() -> None:
    endless = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert metadata(issue(not_after=endless).pem).to_json()["expires_at"] == (
        "9999-12-31T23:59:59.000Z"
    )


def test_dates_are_compared_as_moments_whatever_zone_now_is_in() -> None:
    leaf = issue(not_after=NOW + timedelta(hours=1))
    eastern = NOW.astimezone(timezone(timedelta(hours=14)))
    material = read_certificate(leaf.pem, None, None, "pem", eastern)
    assert "expires_soon" in codes(material.metadata)


def unreadable_san() -> str:
    value = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"junk")
    return issue(extensions=[(value, False)]).pem


def unreadable_constraints() -> str:
    value = x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"junk")
    return issue(extensions=[(value, False)]).pem


def negative_serial() -> str:
    leaf = issue(serial=0x7E112233)
    return patched(leaf, b"\x02\x04\x7e\x11\x22\x33", b"\x02\x04\xfe\x11\x22\x33")


def zero_in_name() -> str:
    return patched(issue(dns=["evil.example.com"]), b"evil.example.com", b"evil\0example.com")


def newline_in_subject() -> str:
    return patched(issue("line-feed", by=issue("Root", ca=True)), b"line-feed", b"line\nfeed")


@pytest.mark.parametrize(
    ("content", "member", "value"),
    [
        (unreadable_san(), "dns_names", []),
        (unreadable_constraints(), "is_ca", None),
        (negative_serial(), "serial_number", None),
        (newline_in_subject(), "subject", None),
        (zero_in_name(), "dns_names", []),
    ],
)
def test_what_cannot_be_read_is_null_with_a_warning_and_the_rest_is_there(
    content: str, member: str, value: object
) -> None:
    facts = metadata(content)
    assert facts.to_json()[member] == value
    assert any(w.code == "unreadable_field" and member in w.message for w in facts.warnings)
    assert facts.to_json()["expires_at"] == "2027-01-01T00:00:00.000Z"


def test_one_unreadable_extension_takes_no_fact_from_the_others() -> None:
    facts = metadata(unreadable_san())
    assert facts.is_ca is False
    value = x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"junk")
    facts = metadata(issue(dns=["a.example"], ca=True, extensions=[(value, False)]).pem)
    assert (facts.is_ca, facts.dns_names) == (True, ("a.example",))
    assert "unreadable_field" not in codes(facts)


def test_an_unknown_key_algorithm_is_null_with_a_warning() -> None:
    leaf = issue("odd", by=issue("Root", ca=True))
    # id-ecPublicKey 1.2.840.10045.2.1 -> 1.2.840.10045.2.9, which nobody has defined
    content = patched(leaf, bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d0209"))
    facts = metadata(content)
    assert (facts.key_algorithm, facts.key_size) == (None, None)
    assert "unreadable_field" in codes(facts)


def test_oddities_that_the_library_warns_of_do_not_leak_as_python_warnings() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        metadata(negative_serial())
        metadata(patched(issue(serial=0x7E), b"\x02\x01\x7e\x30", b"\x02\x01\x00\x30"))
    assert not seen


def test_no_secret_byte_in_repr() -> None:
    leaf: Issued = issue()
    material = read_certificate(
        leaf.pem, key_pem(leaf.key, "canary-phrase"), "canary-phrase", "pem", NOW
    )
    shown = repr(material)
    assert "canary" not in shown
    assert "BEGIN" not in shown
    assert material.content == leaf.pem.encode()
    assert material.passphrase == b"canary-phrase"


def test_a_page_of_certificates_with_endless_names_still_fits_a_message() -> None:
    greedy = issue(
        _endless_name(),
        dns=[f"{number:05}.{'a' * 63}.{'b' * 63}.{'c' * 63}.example.com" for number in range(1500)],
        ips=["2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] * 500,
    )
    facts = metadata(greedy.pem)
    assert facts.subject is not None
    assert facts.subject.startswith("OU=é")
    assert len(facts.subject.encode()) <= MAX_TEXT_BYTES + len("…".encode())
    kept = len(facts.dns_names) + len(facts.ip_addresses)
    told = [warning.message for warning in facts.warnings if warning.code == "unreadable_field"]
    assert [f"{2000 - kept} of its" in message for message in told] == [False, False, True]
    now = datetime.now(UTC)
    row = SecretRow(
        uuid4(), "n" * 128, "\U0001f600" * 1024, "e" * 64, 99, "certificate", uuid4(), now, True, 9,
        now, now, "pem", cast("Metadata", facts.to_json()),
    )  # fmt: skip
    assert 100 * replies.secret(row).ByteSize() < MAX_MESSAGE_BYTES / 2


def test_many_short_names_are_bounded_in_number_and_the_rest_is_counted() -> None:
    facts = metadata(issue(dns=[f"n{number}" for number in range(600)], ips=["192.0.2.7"]).pem)
    assert len(facts.dns_names) == MAX_NAMES
    assert facts.ip_addresses == ()
    assert "101 of its" in facts.warnings[-1].message


def test_as_many_names_as_are_kept_are_all_there_without_a_warning() -> None:
    facts = metadata(issue(dns=[f"n{number}" for number in range(499)], ips=["192.0.2.7"]).pem)
    assert (len(facts.dns_names), facts.ip_addresses) == (499, ("192.0.2.7",))
    assert "unreadable_field" not in codes(facts)


def _endless_name() -> x509.Name:
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "é" * 60)
    return x509.Name([unit] * 500)
