"""Whatever is sent, the answer is material or a refusal: never another exception, never a hang."""

import base64
import contextlib
import json
import urllib.parse

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.secrets.certificates import SUPPORTED_TYPES, CertificateRefused, read_certificate
from services.secrets.certificates.encodings.looks_like import kind_of
from services.secrets.certificates.encodings.transfer import Opened, open_file, open_transfer
from tests.fakes.certificates import NOW, chain, encrypted_pem, key_pem, pem_block, rsa_key

MADE = chain()
TEXTS = [
    MADE.leaf.pem + MADE.intermediate.pem,
    MADE.leaf.key_pem,
    key_pem(rsa_key(1024)),
    encrypted_pem(MADE.leaf.key, "x", rounds=10),
    MADE.leaf.pem + MADE.leaf.key_pem,
]
LABELS = [
    *("CERTIFICATE", "TRUSTED CERTIFICATE", "PKCS7", "CMS", "PKCS12"),
    *("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
]
TYPES = sorted(SUPPORTED_TYPES)
BOUNDED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def indefinite(tag: int, body: bytes) -> bytes:
    return bytes([tag, 0x80]) + body + b"\0\0"


def pfx() -> bytes:
    assert isinstance(MADE.leaf.key, ec.EllipticCurvePrivateKey)
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(b"x")
    )
    certificates = [MADE.intermediate.certificate]
    return pkcs12.serialize_key_and_certificates(
        b"mine", MADE.leaf.key, MADE.leaf.certificate, certificates, encryption
    )


PKCS7 = serialize_certificates([MADE.leaf.certificate, MADE.root.certificate], Encoding.DER)
KEY = MADE.leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
FILES = [
    ("crt", MADE.leaf.der),
    ("cer", indefinite(0x30, MADE.leaf.der[4:])),
    ("p7b", PKCS7),
    ("p7c", indefinite(0x30, PKCS7[4:])),
    ("pfx", pfx()),
    ("key", KEY),
]


def answered(
    content: str, key: str | None, passphrase: str | None, certificate_type: str = "pem"
) -> None:
    with contextlib.suppress(CertificateRefused):
        material = read_certificate(content, key, passphrase, certificate_type, NOW)
        json.dumps(material.metadata.to_json()).encode()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bitten(data: bytes, at: int, replacement: bytes) -> bytes:
    """Some of the bytes overwritten."""
    at %= len(data)
    return data[:at] + replacement + data[at + len(replacement) :]


def bitten_block(text: str, at: int, replacement: bytes) -> str:
    """One block's bytes, some of them overwritten, in sound armor."""
    lines = text.strip().splitlines()
    label = lines[0].removeprefix("-----BEGIN ").removesuffix("-----")
    end = next(i for i, line in enumerate(lines) if line.startswith("-----END"))
    return pem_block(label, bitten(base64.b64decode("".join(lines[1:end])), at, replacement))


@pytest.mark.parametrize("certificate_type", TYPES)
@BOUNDED
@given(
    content=st.text(st.characters(), max_size=300),
    key=st.none() | st.text(max_size=200),
    passphrase=st.none() | st.text(max_size=20),
)
def test_any_text(
    certificate_type: str, content: str, key: str | None, passphrase: str | None
) -> None:
    answered(content, key, passphrase, certificate_type)
    kind_of(content.encode("utf-8", "ignore"))


@pytest.mark.parametrize("certificate_type", TYPES)
@BOUNDED
@given(data=st.binary(max_size=200))
def test_any_bytes(certificate_type: str, data: bytes) -> None:
    answered(base64_of(data), None, "x", certificate_type)
    answered(base64_of(b"\x30\x80" + data), base64_of(data), None, certificate_type)
    kind_of(data)


@BOUNDED
@given(st.sampled_from(LABELS), st.binary(max_size=200), st.sampled_from(TYPES))
def test_any_bytes_in_sound_armor(label: str, data: bytes, certificate_type: str) -> None:
    answered(pem_block(label, data), None, "x", certificate_type)
    answered(MADE.leaf.pem, pem_block(label, data), "x")


@BOUNDED
@given(st.sampled_from(TEXTS), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_any_bite_out_of_real_material(text: str, at: int, replacement: bytes) -> None:
    broken = bitten_block(text, at, replacement)
    answered(broken, None, "x")
    answered(MADE.leaf.pem, broken, "x")
    answered(broken, MADE.leaf.key_pem, None)


@pytest.mark.parametrize(("certificate_type", "file"), FILES, ids=[kind for kind, _ in FILES])
@BOUNDED
@given(
    at=st.integers(0, 5000),
    replacement=st.binary(min_size=1, max_size=4),
    dropped=st.integers(0, 40),
)
def test_any_bite_out_of_a_real_file(
    certificate_type: str, file: bytes, at: int, replacement: bytes, dropped: int
) -> None:
    broken = bitten(file, at, replacement)
    for data in (broken, broken[: len(broken) - dropped]):
        answered(base64_of(data), None, "x", certificate_type)
    kind_of(broken)


@BOUNDED
@given(
    st.sampled_from(TEXTS),
    st.integers(0, 2000),
    st.text(max_size=3),
    st.integers(0, 50),
    st.sampled_from(TYPES),
)
def test_any_slip_in_the_text(
    text: str, at: int, inserted: str, dropped: int, certificate_type: str
) -> None:
    broken = text[:at] + inserted + text[at + dropped :]
    answered(broken, broken, "x", certificate_type)
    answered(base64_of(broken.encode("utf-8", "ignore")), None, None, certificate_type)


@BOUNDED
@given(st.binary(max_size=200).map(lambda data: b"\x30\x82\xff\x02\x01" + data))
def test_any_binary_file_comes_out_of_every_coat_as_it_went_in(data: bytes) -> None:
    plain, url_safe = base64_of(data), base64.urlsafe_b64encode(data).decode()
    coats = (
        *(plain, url_safe, plain.rstrip("="), base64.encodebytes(data).decode()),
        *(f"data:;base64,{plain}", f"data:;base64,{urllib.parse.quote(plain, safe='')}"),
        *(f"data:,{urllib.parse.quote(data)}", base64_of(plain.encode()), "\0".join(plain)),
    )
    for coat in coats:
        assert open_transfer(coat) == Opened(data=data)
    assert open_file(data) == Opened(data=data)
