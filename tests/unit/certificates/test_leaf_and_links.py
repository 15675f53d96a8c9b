"""Files that are no tidy chain: look-alikes, cross-signed roots, several leaves, old and odd issuers."""

import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from services.secrets.certificates import CertificateMetadata, CertificateRefused, read_certificate
from services.secrets.certificates.normal_form import read as read_normal_form
from tests.fakes.certificates import NOW, Issued, chain, ec_key, issue, key_pem, name, tlv
from tests.fakes.odd_certificates import (
    COMMON_NAME,
    ORGANIZATION,
    PRINTABLE,
    algorithm,
    attribute,
    authority,
    ecdsa,
    named,
    odd,
    odd_key,
    odd_pem,
    public_key_info,
    rdn,
    sequence,
)
from tests.fuzz.hostile.certificates import one_key_and_long_names

MADE = chain()
ROOT, INTERMEDIATE, LEAF = MADE.root, MADE.intermediate, MADE.leaf


def metadata(*certificates: Issued | str, key: str | None = None) -> CertificateMetadata:
    text = "".join(one if isinstance(one, str) else one.pem for one in certificates)
    return read_certificate(text, key, None, "pem", NOW).metadata


def codes(facts: CertificateMetadata) -> list[str]:
    return [warning.code for warning in facts.warnings]


def message(facts: CertificateMetadata, code: str) -> str:
    return next(warning.message for warning in facts.warnings if warning.code == code)


def common_name(facts: CertificateMetadata) -> str:
    assert facts.subject is not None
    return facts.subject.partition(",")[0].removeprefix("CN=")


def again(issued: Issued, by: Issued) -> Issued:
    """Another certificate for the same name and key."""
    return issue(issued.certificate.subject, by=by, key=issued.key, ca=True)


def test_the_broken_link_is_named() -> None:
    impostor = issue("Test Intermediate", by=ROOT, ca=True)
    told = message(metadata(LEAF, impostor, ROOT), "incomplete_chain")
    assert "between certificates 1 and 2" in told
    impostor = issue("Test Root", ca=True)
    told = message(metadata(LEAF, INTERMEDIATE, impostor), "incomplete_chain")
    assert "between certificates 2 and 3" in told


def test_a_changed_root_is_told_from_a_missing_one() -> None:
    other = issue("Test Root", by=issue("Test Root", ca=True), ca=True)
    facts = metadata(other)
    assert codes(facts) == ["incomplete_chain"]
    assert "names itself as its issuer" in message(facts, "incomplete_chain")


def test_a_missing_issuer_is_told_with_the_place_of_the_gap() -> None:
    assert "Certificate 1 of the file is" in message(metadata(LEAF, ROOT), "incomplete_chain")


def test_a_cross_signed_root_beside_its_self_signed_twin_is_no_gap() -> None:
    cross = again(ROOT, by=issue("Older Root", ca=True))
    facts = metadata(LEAF, INTERMEDIATE, cross, ROOT)
    assert codes(facts) == []
    assert codes(metadata(LEAF, INTERMEDIATE, ROOT, cross)) == []


def test_the_cross_signed_path_is_followed_to_its_root() -> None:
    older = issue("Older Root", ca=True)
    text = "".join(one.pem for one in (LEAF, INTERMEDIATE, again(ROOT, by=older), older))
    material = read_certificate(text, None, None, "pem", NOW)
    assert codes(material.metadata) == []
    assert read_normal_form(material.normal_form).chain.count("BEGIN") == 3


def test_of_two_issuers_of_one_name_and_key_the_one_that_leads_to_a_root_is_taken() -> None:
    stale = again(INTERMEDIATE, by=issue("Lost Root", ca=True))
    facts = metadata(LEAF, stale, INTERMEDIATE, ROOT)
    assert codes(facts) == ["chain_out_of_order"]


def test_certificates_that_sign_each_other_end_somewhere() -> None:
    first, second = issue("A", ca=True), issue("B", ca=True)
    a, b = again(first, by=second), again(second, by=first)
    facts = metadata(issue(by=first), a, b)
    assert facts.chain_length == 3
    assert codes(facts) == []


def test_copies_are_no_strangers() -> None:
    assert codes(metadata(LEAF, INTERMEDIATE, INTERMEDIATE, LEAF)) == []
    assert codes(metadata(ROOT, ROOT)) == ["self_signed"]
    assert metadata(LEAF, LEAF).chain_length == 2


def test_a_hundred_look_alikes_cost_no_hundred_squared_checks() -> None:
    keys = [ec_key() for _ in range(99)]
    crowd = [issue("Test Intermediate", by=ROOT, key=key, ca=True) for key in keys]
    began = time.process_time()
    facts = metadata(LEAF, *crowd)
    assert "incomplete_chain" in codes(facts)
    assert time.process_time() - began < 2


def test_a_hundred_copies_of_one_name_and_key_make_no_maze() -> None:
    first, second = issue("A", ca=True), issue("B", ca=True)
    crowd = [again(first, by=second) for _ in range(49)] + [
        again(second, by=first) for _ in range(50)
    ]
    began = time.process_time()
    facts = metadata(issue(by=first), *crowd)
    assert facts.chain_length == 100
    assert time.process_time() - began < 2


def test_names_that_nobody_has_are_read_once_each() -> None:
    case = one_key_and_long_names()
    began = time.process_time()
    with pytest.raises(CertificateRefused) as refusal:
        read_certificate(case.content, case.private_key, None, "pem", NOW)
    assert refusal.value.reason == "key_mismatch"
    assert time.process_time() - began < 1


def test_an_issuer_written_in_another_case_or_string_type_is_found() -> None:
    key = ec_key()
    subject = sequence(
        rdn(attribute(ORGANIZATION, b"Example  Trust", PRINTABLE)),
        rdn(attribute(COMMON_NAME, b"Odd CA", PRINTABLE)),
    )
    issuer = sequence(
        rdn(attribute(ORGANIZATION, b"EXAMPLE Trust")), rdn(attribute(COMMON_NAME, b"odd ca"))
    )
    root = odd(
        subject=subject,
        issuer=subject,
        key=public_key_info(key.public_key()),
        extensions=(authority(),),
        sign=ecdsa(key),
    )
    leaf = odd(issuer=issuer, sign=ecdsa(key))
    assert codes(metadata(odd_pem(leaf), odd_pem(root))) == []
    forged = odd(issuer=issuer, sign=ecdsa(ec_key()))
    assert "between certificates 1 and 2" in message(
        metadata(odd_pem(forged), odd_pem(root)), "incomplete_chain"
    )


def test_links_of_certificates_that_the_library_refuses_are_verified() -> None:
    key = ec_key()
    version = tlv(0xA0, tlv(2, b"\x08"))
    root = odd(
        version=version,
        subject=named("Odd CA"),
        key=public_key_info(key.public_key()),
        extensions=(authority(),),
        sign=ecdsa(key),
    )
    leaf = odd(version=version, sign=ecdsa(key))
    assert codes(metadata(odd_pem(leaf), odd_pem(root))) == []
    forged = odd(version=version, sign=ecdsa(ec_key()))
    assert codes(metadata(odd_pem(forged), odd_pem(root))) == ["incomplete_chain"]


def test_an_unknown_signature_is_taken_on_its_name_and_that_is_told() -> None:
    unknown = algorithm("2.16.840.1.101.3.4.3.20")
    key = odd_key("2.16.840.1.101.3.4.3.20")
    root = odd(
        subject=named("Odd CA"), key=key, extensions=(authority(),), signature_algorithm=unknown
    )
    leaf = odd(signature_algorithm=unknown)
    facts = metadata(odd_pem(leaf), odd_pem(root))
    assert codes(facts) == ["unreadable_field"]
    assert "signatures of the certificates 1, 2 of the file could not be verified" in message(
        facts, "unreadable_field"
    )


def test_the_own_signature_of_what_calls_itself_self_signed_is_not_taken_in_silence() -> None:
    number = "2.16.840.1.101.3.4.3.20"
    alone = odd(
        issuer=named("odd.example"),
        signature_algorithm=algorithm(number),
        key=odd_key(number),
    )
    facts = metadata(odd_pem(alone))
    assert codes(facts) == ["self_signed", "unreadable_field"]
    told = message(facts, "unreadable_field")
    assert "signature of certificate 1 of the file could not be verified" in told


def test_a_root_of_unknown_signature_at_the_end_of_the_path_is_told() -> None:
    key = ec_key()
    root = odd(
        subject=named("Odd CA"),
        key=public_key_info(key.public_key()),
        extensions=(authority(),),
        signature_algorithm=algorithm("1.2.3.4"),
    )
    facts = metadata(odd_pem(odd(sign=ecdsa(key))), odd_pem(root))
    assert codes(facts) == ["unreadable_field"]
    assert "signature of certificate 2 of the file" in message(facts, "unreadable_field")


def test_an_issuer_that_is_no_authority_is_not_said_to_have_signed_what_nobody_verified() -> None:
    unknown = algorithm("1.2.3.4")
    above = odd(subject=named("Odd CA"), signature_algorithm=unknown, extensions=(authority(b""),))
    facts = metadata(odd_pem(odd(signature_algorithm=unknown)), odd_pem(above))
    assert "name from certificate 2, which is no CA" in message(facts, "incomplete_chain")
    assert "signed by" not in message(facts, "incomplete_chain")
    assert "could not be verified" in message(facts, "unreadable_field")


@pytest.mark.parametrize("may_sign", [True, False])
def test_an_authority_whose_key_usage_forbids_it_to_sign_is_none(may_sign: bool) -> None:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=may_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    issuer = issue("Test Issuer", by=ROOT, ca=True, extensions=((usage, True),))
    facts = metadata(issue(by=issuer), issuer, ROOT)
    assert codes(facts) == ([] if may_sign else ["incomplete_chain"])
    if not may_sign:
        assert "certificate 2, which is no CA" in message(facts, "incomplete_chain")


def test_the_leaf_below_an_authority_without_extensions_is_found() -> None:
    key = ec_key()
    root = odd(
        version=b"",
        subject=named("Odd CA"),
        key=public_key_info(key.public_key()),
        sign=ecdsa(key),
    )
    leaf = odd(sign=ecdsa(key))
    facts = metadata(odd_pem(root), odd_pem(leaf))
    assert facts.subject == "CN=odd.example"
    assert codes(facts) == ["chain_out_of_order"]


def test_of_several_leaves_below_the_first_certificate_the_first_is_meant() -> None:
    other = issue("other.example", by=INTERMEDIATE)
    assert common_name(metadata(INTERMEDIATE, other, LEAF)) == "other.example"
    stranger = issue("stranger.example", by=issue("Elsewhere", ca=True))
    assert common_name(metadata(INTERMEDIATE, stranger, LEAF)) == "example.com"
    assert common_name(metadata(INTERMEDIATE, stranger)) == "stranger.example"


def test_among_roots_one_without_extensions_is_no_leaf() -> None:
    old = issue("Root of version 1")
    assert common_name(metadata(ROOT, old, issue("Other Root", ca=True))) == "Test Root"


def test_the_key_finds_its_leaf_among_several() -> None:
    other = issue("other.example", by=INTERMEDIATE)
    facts = metadata(ROOT, INTERMEDIATE, other, LEAF, key=LEAF.key_pem)
    assert common_name(facts) == "example.com"


def test_of_several_keys_in_the_content_the_one_of_the_leaf_counts() -> None:
    text = INTERMEDIATE.key_pem + key_pem(ec_key()) + LEAF.key_pem + INTERMEDIATE.pem + LEAF.pem
    material = read_certificate(text, None, None, "pem", NOW)
    assert common_name(material.metadata) == "example.com"
    normal = read_normal_form(material.normal_form)
    assert normal.private_key == LEAF.key_pem
    assert normal.chain == INTERMEDIATE.pem
    none = key_pem(ec_key()) + key_pem(ec_key()) + LEAF.pem
    with pytest.raises(CertificateRefused) as refusal:
        read_certificate(none, None, None, "pem", NOW)
    assert refusal.value.reason == "key_mismatch"


def test_the_field_picks_one_of_several_keys_in_the_content() -> None:
    other = issue("other.example", by=INTERMEDIATE)
    text = LEAF.pem + other.pem + LEAF.key_pem + other.key_pem
    facts = read_certificate(text, other.key_pem, None, "pem", NOW).metadata
    assert common_name(facts) == "other.example"
    with pytest.raises(CertificateRefused) as refusal:
        read_certificate(text, key_pem(ec_key()), None, "pem", NOW)
    assert (refusal.value.field, refusal.value.reason) == ("private_key", "key_mismatch")


def test_a_file_of_authorities_with_the_key_of_one_is_about_that_one() -> None:
    facts = metadata(ROOT, INTERMEDIATE, key=INTERMEDIATE.key_pem)
    assert common_name(facts) == "Test Intermediate"
    assert facts.has_private_key


@pytest.mark.parametrize("owner", ["Test Root", "Test Intermediate"])
def test_an_authority_that_issued_another_of_the_file_is_no_leaf(owner: str) -> None:
    below = issue("Sub CA", by=INTERMEDIATE, ca=True)
    key = {"Test Root": ROOT, "Test Intermediate": INTERMEDIATE}[owner].key_pem
    with pytest.raises(CertificateRefused) as refusal:
        metadata(below, INTERMEDIATE, ROOT, key=key)
    assert refusal.value.reason == "key_mismatch"
    assert common_name(metadata(below, INTERMEDIATE, ROOT, key=below.key_pem)) == "Sub CA"
    assert common_name(metadata(ROOT, INTERMEDIATE, below, key=ROOT.key_pem)) == "Test Root"


def test_a_server_certificate_that_calls_itself_an_authority_is_a_leaf_beside_strangers() -> None:
    server = issue("server.example", ca=True)
    renewed = again(server, by=server)
    for others in ((ROOT, INTERMEDIATE), (LEAF, INTERMEDIATE)):
        facts = metadata(*others, server, renewed, key=server.key_pem)
        assert common_name(facts) == "server.example"


def test_who_names_the_leaf_as_its_issuer_does_not_take_its_place() -> None:
    signer = Issued(LEAF.certificate, ec_key())
    forged = issue("forged.example", by=signer)
    assert codes(metadata(LEAF, INTERMEDIATE, ROOT, forged)) == []
    bare = issue("localhost")
    alike = issue("device", by=Issued(bare.certificate, ec_key()))
    assert common_name(metadata(bare, alike)) == "localhost"
    end_entity = x509.BasicConstraints(ca=False, path_length=None)
    leaf = issue("plain.example", by=INTERMEDIATE, extensions=((end_entity, True),))
    below = issue("below.example", by=leaf)
    assert common_name(metadata(leaf, INTERMEDIATE, ROOT, below)) == "plain.example"


def unordered(*certificates: x509.Certificate) -> CertificateMetadata:
    text = pkcs7.serialize_certificates(list(certificates), Encoding.PEM).decode()
    return read_certificate(text, None, None, "pkcs7", NOW).metadata


@pytest.mark.parametrize("turn", range(3))
def test_a_format_without_order_has_none_that_could_be_wrong(turn: int) -> None:
    members = [one.certificate for one in (LEAF, INTERMEDIATE, ROOT)]
    facts = unordered(*members[turn:], *members[:turn])
    assert common_name(facts) == "example.com"
    assert codes(facts) == []


def test_without_a_leaf_it_is_about_the_lowest_authority() -> None:
    for members in ((ROOT, INTERMEDIATE), (INTERMEDIATE, ROOT)):
        assert common_name(unordered(*(one.certificate for one in members))) == "Test Intermediate"


def test_a_key_on_a_curve_that_cannot_sign_here_breaks_no_reading() -> None:
    brainpool = ec.generate_private_key(ec.BrainpoolP256R1())
    root = issue(name("Brainpool CA"), key=brainpool, ca=True)
    assert codes(metadata(issue(by=root), root)) == []
