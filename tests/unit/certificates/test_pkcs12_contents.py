"""What people's PKCS#12 files hold: bags of every kind, in every encoding, and other files by mistake."""

import base64

import pytest

from services.secrets.certificates import CertificateMaterial, CertificateRefused, read_certificate
from services.secrets.certificates.limits import MAX_CERTIFICATES, MAX_PRIVATE_KEYS
from services.secrets.certificates.normal_form import read as read_normal_form
from tests.fakes import pkcs12
from tests.fakes.certificates import NOW, Issued, chain, ec_key, issue, pem_block, rsa_key, tlv
from tests.fakes.pkcs12 import (
    Layer,
    as_ber,
    attribute,
    attributes,
    bag,
    certificate_bag,
    explicit,
    friendly_name,
    integer,
    key_bag,
    mac,
    octets,
    oid,
    pbes2,
    pfx,
    pfx_of,
    plain,
    sealed,
    sent,
    seq,
    shrouded_bag,
    triple_des,
    usual,
    wide,
)

MADE = chain()
LEAF = MADE.leaf
CERTIFICATE = certificate_bag(LEAF)
CRL_BAG = bag(4, seq(oid("1.2.840.113549.1.9.23.1"), explicit(octets(b"a list"))))
SECRET_BAG = bag(5, seq(oid("1.2.840.113549.1.9.22.1"), explicit(octets(b"a secret"))))
SDSI_BAG = bag(3, seq(oid("1.2.840.113549.1.9.22.2"), explicit(tlv(0x16, b"MIIB"))))


def read(data: bytes, passphrase: str | None = None) -> CertificateMaterial:
    return read_certificate(sent(data), None, passphrase, "pfx", NOW)


def refused(content: bytes | str, passphrase: str | None = None) -> CertificateRefused:
    text = content if isinstance(content, str) else sent(content)
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(text, None, passphrase, "p12", NOW)
    return caught.value


def codes(material: CertificateMaterial) -> set[str]:
    return {warning.code for warning in material.metadata.warnings}


def test_a_certificate_alone() -> None:
    material = read(pfx(plain(CERTIFICATE)))
    assert not material.metadata.has_private_key
    assert material.certificate_type == "pfx"


def test_the_content_is_kept_as_it_was_sent() -> None:
    content = sent(usual(LEAF, "x")) + "\n"
    material = read_certificate(content, None, "x", "p12", NOW)
    assert material.content == content.encode()
    assert (material.certificate_type, material.passphrase) == ("p12", b"x")


def test_the_leaf_is_found_where_the_issuers_come_first() -> None:
    issuers = [certificate_bag(MADE.root), certificate_bag(MADE.intermediate)]
    material = read(pfx(plain(*issuers, CERTIFICATE, key_bag(LEAF.key))))
    assert material.metadata.chain_length == 3
    form = read_normal_form(material.normal_form)
    assert form.certificate == LEAF.pem
    assert form.chain == MADE.intermediate.pem + MADE.root.pem


def test_of_several_keys_the_one_of_the_first_end_entity_counts() -> None:
    one, other = issue("one.example"), issue("two.example")
    stranger = key_bag(ec_key())
    entries = {
        (one, other): "one.example",
        (other, one): "two.example",
    }
    for leaves, expected in entries.items():
        bags = [certificate_bag(leaf) for leaf in leaves]
        keys = [stranger, key_bag(one.key), key_bag(other.key)]
        material = read(pfx(plain(*keys), plain(*bags)))
        assert material.metadata.subject is not None
        assert expected in material.metadata.subject
        expected_key = leaves[0].key_pem
        assert read_normal_form(material.normal_form).private_key == expected_key


def test_a_trusted_entry_before_the_one_with_the_key_is_not_the_leaf() -> None:
    """As keytool writes them: the order of aliases, not of chains."""
    trusted = attributes(friendly_name("ca"), attribute("2.16.840.1.113894.746875.1.1", oid("2.5")))
    data = pfx(
        plain(shrouded_bag(LEAF.key, pbes2("x"))),
        sealed(
            pbes2("x"),
            certificate_bag(issue("other.example"), trusted),
            certificate_bag(LEAF, attributes(friendly_name("mine"))),
            certificate_bag(MADE.intermediate),
        ),
        mac=mac(wide("x"), "sha256"),
    )
    material = read(data, "x")
    assert material.metadata.subject == "CN=example.com, O=Example Inc, C=US"
    assert material.metadata.has_private_key


def test_the_same_key_under_two_names_is_one_key() -> None:
    assert read(
        pfx(plain(CERTIFICATE, key_bag(LEAF.key), key_bag(LEAF.key)))
    ).metadata.has_private_key


def test_a_key_that_belongs_to_no_certificate_is_a_mismatch() -> None:
    refusal = refused(pfx(plain(CERTIFICATE, key_bag(ec_key()))))
    assert refusal.reason == "key_mismatch"


@pytest.mark.parametrize(
    "odd",
    [
        attributes(),
        attributes(friendly_name(""), friendly_name("")),
        attributes(friendly_name("one"), friendly_name("two")),
        attributes(friendly_name("Žluťoučký 🗝")),
        attributes(attribute("1.2.840.113549.1.9.21", octets(b""))),
        attributes(attribute("1.2.840.113549.1.9.21", octets(b"\1"), octets(b"\2"))),
        attributes(attribute("1.2.840.113549.1.9.20", tlv(1, b"\xff"))),
        attributes(attribute("1.3.6.1.4.1.311.17.1", tlv(0x1E, b"\0P"))),
        attributes(attribute("1.3.6.1.4.1.311.17.2")),
        attributes(seq()),
        tlv(0x0C, b"no set at all"),
        attributes() + attributes(),
    ],
)
def test_odd_attributes_do_no_harm(odd: bytes) -> None:
    assert read(pfx(plain(certificate_bag(LEAF, odd)))).metadata.subject


def test_bags_of_other_kinds_are_passed_over() -> None:
    others = [CRL_BAG, SECRET_BAG, SDSI_BAG, bag(99, octets(b"unheard of"))]
    assert read(pfx(plain(*others, CERTIFICATE))).metadata.chain_length == 1


def test_nested_contents_are_opened() -> None:
    inner = bag(6, seq(bag(6, seq(CERTIFICATE)), key_bag(LEAF.key)))
    assert read(pfx(plain(inner))).metadata.has_private_key


@pytest.mark.parametrize(
    ("bags", "said"),
    [
        ([key_bag(LEAF.key)], "private keys (1)"),
        ([key_bag(LEAF.key), SECRET_BAG], "private keys (1) and entries of other kinds (1)"),
        ([CRL_BAG, SDSI_BAG], "entries of other kinds (2)"),
        ([], "nothing at all"),
    ],
)
def test_a_file_without_a_certificate_says_what_it_has(bags: list[bytes], said: str) -> None:
    for data in (pfx(plain(*bags)), pfx(sealed(pbes2("x"), *bags), mac=mac(wide("x")))):
        refusal = refused(data, "x")
        assert (refusal.reason, refusal.field) == ("no_certificate", "certificate_content")
        assert said in refusal.message


def test_no_part_at_all() -> None:
    assert refused(pfx()).reason == "no_certificate"


@pytest.mark.parametrize("passphrase", ["open sesame", ""])
def test_ber_as_bouncy_castle_and_ejbca_write_it(passphrase: str) -> None:
    data = usual(LEAF, passphrase, [MADE.intermediate], layer=as_ber)
    material = read(data, passphrase)
    assert material.metadata.has_private_key
    assert {"ber_encoding", "legacy_encryption"} <= codes(material)
    assert refused(data, "sesame").reason == "wrong_passphrase"


@pytest.mark.parametrize("at", range(3))
def test_ber_in_one_layer_only(at: int) -> None:
    """Each layer may be of another tool: contents, the safe around them, the file around that."""
    layers: list[Layer] = [bytes, bytes, bytes]
    layers[at] = as_ber
    contents = plain(CERTIFICATE, key_bag(LEAF.key), layer=layers[0])
    file = layers[2](pfx_of(layers[1](seq(contents)), mac=mac(wide("x"))))
    material = read(file, "x")
    assert material.metadata.has_private_key
    assert "ber_encoding" in codes(material)
    assert "ber_encoding" not in codes(read(pfx(plain(CERTIFICATE))))


def test_an_rsa_key_in_ber() -> None:
    issued = issue(key=rsa_key(1024))
    data = pfx(plain(certificate_bag(issued), key_bag(issued.key), layer=as_ber), layer=as_ber)
    assert read(data).metadata.has_private_key


def test_transport_coats() -> None:
    data = usual(LEAF, "x")
    plainly, url_safe = sent(data), base64.urlsafe_b64encode(data).decode()
    for content in (
        base64.encodebytes(data).decode().replace("\n", "\r\n"),
        plainly.rstrip("="),
        url_safe,
        f"data:application/x-pkcs12;base64,{plainly}",
        pem_block("PKCS12", data),
    ):
        assert read_certificate(content, None, "x", "pfx", NOW).metadata.has_private_key


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 300, b"\n", b"\r\n", b"\x1a"])
def test_padding_behind_the_file_is_tolerated(padding: bytes) -> None:
    for data in (usual(LEAF, "x"), usual(LEAF, "x", layer=as_ber)):
        assert read(data + padding, "x").metadata.has_private_key


@pytest.mark.parametrize("garbage", [b"garbage", b"\0\1", usual(LEAF, "x")])
def test_anything_else_behind_the_file_is_damage(garbage: bytes) -> None:
    assert refused(usual(LEAF, "x") + garbage, "x").reason == "malformed"


def test_a_file_that_was_cut_is_damage_wherever_the_cut_is() -> None:
    for data in (usual(LEAF, "x"), usual(LEAF, "x", layer=as_ber)):
        for end in range(40, len(data), 97):
            refusal = refused(data[:end], "x")
            assert (refusal.reason, refusal.field) == ("malformed", "certificate_content"), end


SAFE = seq(plain(CERTIFICATE))


@pytest.mark.parametrize(
    "data",
    [
        pfx_of(b""),
        pfx_of(octets(b"no sequence")),
        pfx_of(seq(seq())),
        pfx_of(seq(seq(oid(pkcs12.DATA)))),
        pfx_of(seq(pkcs12.content_info(pkcs12.DATA, seq()))),
        pfx_of(SAFE + SAFE),
        pfx(plain(seq())),
        pfx(plain(seq(oid("1.2.3")))),
        pfx(plain(seq(octets(b""), explicit(octets(b""))))),
        pfx(plain(bag(3, octets(LEAF.der)))),
        pfx(plain(bag(3, seq(oid("1.2.840.113549.1.9.22.1"), octets(LEAF.der))))),
        pfx(plain(bag(1, b""))),
        pfx(plain(bag(2, octets(b"")))),
        pfx(plain(bag(6, octets(b"")))),
        pfx(plain(certificate_bag(b"no certificate"))),
        pfx(plain(certificate_bag(LEAF.der[:-5]))),
        seq(integer(3), pkcs12.content_info(pkcs12.DATA, octets(SAFE)), octets(b"no MacData")),
        pfx(SAFE, mac=lambda _: seq()),
        seq(integer(3), pkcs12.content_info("1.2.840.113549.1.7.5", octets(SAFE))),
        seq(integer(3), pkcs12.content_info("1.2.3", octets(SAFE))),
        seq(integer(3), seq()),
        seq(integer(5)),
        seq(),
        pfx(pkcs12.sealed_octets(seq(), b"")),
        pfx(pkcs12.sealed_octets(octets(b""), b"")),
        pfx(pkcs12.sealed_octets(pkcs12.pbe("1.2.840.113549.1.12.1.3", 0), b"8 octets")),
    ],
)
def test_a_broken_structure_is_damage(data: bytes) -> None:
    assert refused(data, "x").reason == "malformed"


def test_which_certificate_is_broken_is_told() -> None:
    data = pfx(plain(CERTIFICATE, certificate_bag(tlv(0x30, b"\5\0")), certificate_bag(MADE.root)))
    refusal = refused(data)
    assert refusal.reason == "malformed"
    assert "Certificate 2 of 3" in refusal.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (seq(integer(3), pkcs12.content_info(pkcs12.SIGNED_DATA, seq())), "digital signature"),
        (pfx(pkcs12.content_info(pkcs12.ENVELOPED_DATA, seq())), "envelopedData"),
        (pfx(pkcs12.content_info("1.2.840.113549.1.7.5", seq())), "1.2.840.113549.1.7.5"),
        (pfx(pkcs12.content_info("1.2.3.4", seq())), "1.2.3.4"),
        (pfx(plain(CERTIFICATE), version=1), "version 1"),
        (pfx(plain(CERTIFICATE), version=4), "version 4"),
        (pfx(pkcs12.sealed_octets(pkcs12.pbe("1.2.643.7.1.1.5.2.2", 1), b"x")), "1.2.643.7"),
        (
            pfx(plain(bag(2, seq(pkcs12.pbe("1.2.3.4", 1), octets(b"x"))), CERTIFICATE)),
            "1.2.3.4",
        ),
    ],
)
def test_a_way_of_protection_nobody_here_knows_is_named(data: bytes, said: str) -> None:
    for given in (None, "x"):
        refusal = refused(data, given)
        assert (refusal.reason, refusal.field) == ("unsupported_algorithm", "certificate_content")
        assert said in refusal.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LEAF.pem, "certificate_type 'pem'"),
        (LEAF.key_pem, "private key"),
        (pem_block("PKCS7", b"x"), "PKCS#7"),
        (sent(LEAF.der), "certificate_type 'crt'"),
        (sent(pkcs12.content_info(pkcs12.SIGNED_DATA, seq(integer(1)))), "pkcs7"),
        (sent(pkcs12.pkcs8(LEAF.key)), "private key"),
        (sent(b"\xfe\xed\xfe\xed\0\0\0\2"), "keytool -importkeystore"),
        (sent(b"\x80\x81\x82"), "nothing Coffer recognises"),
        ('{"pfx": "..."}', "JSON"),
        ("<html>", "HTML"),
        ("server.pfx", "name of a file"),
        ("hello, world!", "nothing Coffer recognises"),
    ],
)
def test_another_kind_of_file_is_called_by_its_name(content: str, said: str) -> None:
    refusal = refused(content)
    assert refusal.reason == "not_this_format"
    assert said in refusal.message
    assert "With certificate_type 'pfx'" in refusal.message


def test_damaged_base64_is_called_that() -> None:
    content = sent(usual(LEAF, "x"))
    assert refused(content[:100] + "*" + content[101:]).reason == "invalid_base64"
    armored = pem_block("PKCS12", usual(LEAF, "x"))
    assert refused(armored[:200] + "*" + armored[201:]).reason == "invalid_base64"
    assert refused(armored[:200]).reason == "malformed"


def test_pem_with_a_pkcs12_among_other_blocks_is_not_guessed_at() -> None:
    content = pem_block("PKCS12", usual(LEAF, "x")) + LEAF.pem
    assert refused(content, "x").reason == "not_this_format"


def many(issued: Issued, count: int) -> list[bytes]:
    return [certificate_bag(issued)] * count


def test_more_certificates_or_keys_than_anybody_needs_are_refused() -> None:
    read(pfx(plain(*many(LEAF, MAX_CERTIFICATES))))
    refusal = refused(pfx(plain(*many(LEAF, MAX_CERTIFICATES // 2 + 1)), plain(*many(LEAF, 50))))
    assert refusal.reason is None
    assert str(MAX_CERTIFICATES) in refusal.message
    keys = [key_bag(LEAF.key)] * MAX_PRIVATE_KEYS
    read(pfx(plain(*keys, CERTIFICATE)))
    refusal = refused(pfx(plain(*keys, CERTIFICATE), plain(keys[0])))
    assert refusal.reason is None
    assert str(MAX_PRIVATE_KEYS) in refusal.message


def test_two_encryptions_are_both_named() -> None:
    form = wide("x")
    data = pfx(
        plain(shrouded_bag(LEAF.key, triple_des(form))),
        sealed(pkcs12.rc4(form), CERTIFICATE),
        mac=mac(form),
    )
    found = [w.message for w in read(data, "x").metadata.warnings if w.code == "legacy_encryption"]
    for name in ("pbeWithSHA1And3-KeyTripleDES-CBC", "pbeWithSHA1And128BitRC4"):
        assert name in " ".join(found)
