"""That a TLS library takes what was accepted: certificate and key, out of the normal form."""

import base64
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.secrets.certificates import CertificateRefused, read_certificate
from services.secrets.certificates.keys.pairing import BoundToPss, paired
from services.secrets.certificates.normal_form import read as read_normal_form
from tests.fakes import pkcs12
from tests.fakes.certificates import NOW, pem_block
from tests.vectors.certificate_corpus import asn1
from tests.vectors.certificate_corpus.authority import (
    RSASSA_PSS,
    Issued,
    Pair,
    ec_pair,
    ed448_pair,
    ed25519_pair,
    issue,
    rsa_pair,
)
from tests.vectors.certificate_corpus.people import ROOT

RSA, PSS = rsa_pair(), rsa_pair(is_pss=True)
BARE = RSA.private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
RSA_LEAF = issue("rsa.example", by=ROOT, pair=RSA)
PSS_LEAF = issue("pss.example", by=ROOT, pair=PSS)

PKCS8 = pem_block("PRIVATE KEY", RSA.pkcs8)
PKCS1 = pem_block("RSA PRIVATE KEY", BARE)
BOUND = pem_block("PRIVATE KEY", PSS.pkcs8)
BOUND_TO_SHA256 = pem_block(
    "PRIVATE KEY",
    asn1.sequence(
        asn1.integer(0),
        asn1.algorithm(
            RSASSA_PSS,
            asn1.sequence(
                asn1.explicit(0, asn1.algorithm("2.16.840.1.101.3.4.2.1", asn1.NULL)),
                asn1.explicit(
                    1,
                    asn1.algorithm(
                        "1.2.840.113549.1.1.8",
                        asn1.algorithm("2.16.840.1.101.3.4.2.1", asn1.NULL),
                    ),
                ),
                asn1.explicit(2, asn1.integer(32)),
            ),
        ),
        asn1.octets(BARE),
    ),
)
OTHERS = {
    "P-256": ec_pair("pairing"),
    "P-384": ec_pair("pairing", ec.SECP384R1()),
    "P-521": ec_pair("pairing", ec.SECP521R1()),
    "Ed25519": ed25519_pair("pairing"),
    "Ed448": ed448_pair("pairing"),
}


def text(issued: Issued) -> str:
    return pem_block("CERTIFICATE", issued.der)


def load(stored: bytes, folder: Path) -> None:
    """As a server would. Raises ssl.SSLError when OpenSSL does not take the pair."""
    form = read_normal_form(stored)
    file = folder / "both.pem"
    file.write_text(form.certificate + form.chain + (form.private_key or ""))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)


@pytest.mark.parametrize("key", ["PKCS8", "PKCS1", "BOUND", "BOUND_TO_SHA256"])
def test_openssl_takes_every_key_that_is_accepted_beside_a_certificate_for_pss(
    key: str, tmp_path: Path
) -> None:
    material = read_certificate(text(PSS_LEAF), globals()[key], None, "pem", NOW)
    load(material.normal_form, tmp_path)


@pytest.mark.parametrize("key", ["PKCS8", "PKCS1"])
def test_openssl_takes_every_key_that_is_accepted_beside_a_certificate_for_rsa(
    key: str, tmp_path: Path
) -> None:
    material = read_certificate(text(RSA_LEAF), globals()[key], None, "pem", NOW)
    load(material.normal_form, tmp_path)


@pytest.mark.parametrize("name", OTHERS)
def test_openssl_takes_keys_of_other_kinds(name: str, tmp_path: Path) -> None:
    pair = OTHERS[name]
    leaf = issue("other.example", by=ROOT, pair=pair)
    for key in (pem_block("PRIVATE KEY", pair.pkcs8), *sec1(pair)):
        load(read_certificate(text(leaf), key, None, "pem", NOW).normal_form, tmp_path)


def sec1(pair: Pair) -> list[str]:
    return [pem_block("EC PRIVATE KEY", pair.traditional)] if pair.algorithm == "EC" else []


def test_a_key_inside_a_keystore_is_bound_to_what_its_certificate_is_for(tmp_path: Path) -> None:
    """As `cryptography` writes it: the key loses its restriction, the certificate keeps it."""
    bags = pkcs12.plain(pkcs12.certificate_bag(PSS_LEAF.der), pkcs12.bag(1, RSA.pkcs8))
    material = read_certificate(pkcs12.sent(pkcs12.pfx(bags)), None, None, "pfx", NOW)
    load(material.normal_form, tmp_path)


def test_the_algorithm_of_the_certificate_is_taken_over_with_its_parameters() -> None:
    form = read_certificate(text(PSS_LEAF), PKCS1, None, "pem", NOW).normal_form
    stored = read_normal_form(form).private_key or ""
    assert base64.b64decode("".join(stored.splitlines()[1:-1])) == PSS.pkcs8
    parameters = asn1.algorithm(RSASSA_PSS, asn1.sequence(asn1.explicit(2, asn1.integer(32))))
    made = paired(RSA.pkcs8, asn1.sequence(parameters, asn1.bits(b"")))
    assert made == asn1.sequence(asn1.integer(0), parameters, asn1.octets(BARE))


@pytest.mark.parametrize("key", ["BOUND", "BOUND_TO_SHA256"])
def test_a_key_bound_to_pss_is_not_set_free_by_a_certificate_for_rsa(
    key: str, tmp_path: Path
) -> None:
    """Neither OpenSSL nor Java takes the pair."""
    bound = globals()[key]
    (tmp_path / "both.pem").write_text(text(RSA_LEAF) + bound)
    with pytest.raises(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "both.pem")
    for content, private_key, field in (
        (text(RSA_LEAF), bound, "private_key"),
        (text(RSA_LEAF) + bound, None, "certificate_content"),
    ):
        with pytest.raises(CertificateRefused, match="bound to RSASSA-PSS") as caught:
            read_certificate(content, private_key, None, "pem", NOW)
        assert (caught.value.field, caught.value.reason) == (field, "key_mismatch")
    with pytest.raises(BoundToPss):
        paired(PSS.pkcs8, RSA.spki)
