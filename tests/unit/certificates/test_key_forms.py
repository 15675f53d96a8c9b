"""Every shape in which people have one private key, and what becomes of it."""

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    mldsa,
    mlkem,
    rsa,
    x448,
    x25519,
)
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from services.secrets.certificates import CertificateMaterial, read_certificate
from tests.fakes.certificates import NOW, ec_key, issue, key_pem, pem_block, rsa_key, tlv
from tests.vectors.certificate_corpus import asn1, pbe

CURVES = [
    ec.SECP192R1(),
    ec.SECP224R1(),
    ec.SECP256R1(),
    ec.SECP384R1(),
    ec.SECP521R1(),
    ec.SECP256K1(),
    ec.BrainpoolP256R1(),
    ec.BrainpoolP384R1(),
    ec.BrainpoolP512R1(),
]
EC_PUBLIC_KEY, ED25519, PSS = "1.2.840.10045.2.1", "1.3.101.112", "1.2.840.113549.1.1.10"
P256 = asn1.oid("1.2.840.10045.3.1.7")
EC_P256 = asn1.algorithm(EC_PUBLIC_KEY, P256)


def read(content: str, passphrase: str | None = None) -> CertificateMaterial:
    return read_certificate(content, None, passphrase, "key", NOW)


def normal(material: CertificateMaterial) -> PrivateKeyTypes:
    return load_pem_private_key(material.normal_form, None, unsafe_skip_rsa_key_validation=True)


def der(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.DER, form, NoEncryption())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pkcs8(algorithm: bytes, key: bytes, *more: bytes, version: int = 0) -> bytes:
    return asn1.sequence(asn1.integer(version), algorithm, asn1.octets(key), *more)


def sec1(number: bytes, *more: bytes, version: int = 1) -> bytes:
    return asn1.sequence(asn1.integer(version), asn1.octets(number), *more)


def scalar(key: ec.EllipticCurvePrivateKey, size: int = 32) -> bytes:
    return key.private_numbers().private_value.to_bytes(size)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_ec_keys_on_every_curve_are_read(curve: ec.EllipticCurve, form: PrivateFormat) -> None:
    key = ec.generate_private_key(curve)
    material = read(b64(der(key, form)))
    assert (material.metadata.key_algorithm, material.metadata.key_size) == ("EC", curve.key_size)
    assert normal(material).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (ed25519.Ed25519PrivateKey.generate, "Ed25519"),
        (ed448.Ed448PrivateKey.generate, "Ed448"),
        (x25519.X25519PrivateKey.generate, "X25519"),
        (x448.X448PrivateKey.generate, "X448"),
        (mldsa.MLDSA44PrivateKey.generate, "ML-DSA-44"),
        (mldsa.MLDSA65PrivateKey.generate, "ML-DSA-65"),
        (mldsa.MLDSA87PrivateKey.generate, "ML-DSA-87"),
        (mlkem.MLKEM768PrivateKey.generate, "ML-KEM-768"),
        (mlkem.MLKEM1024PrivateKey.generate, "ML-KEM-1024"),
    ],
)
def test_keys_of_modern_kinds_are_read(make: Callable[[], PrivateKeyTypes], algorithm: str) -> None:
    key = make()
    material = read(b64(der(key)))
    assert material.metadata.key_algorithm == algorithm
    assert normal(material).public_key() == key.public_key()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_rsa_and_dsa_keys_are_read(form: PrivateFormat) -> None:
    keys: list[rsa.RSAPrivateKey | dsa.DSAPrivateKey] = [rsa_key(), dsa.generate_private_key(1024)]
    for key in keys:
        material = read(b64(der(key, form)))
        assert (material.metadata.key_size, normal(material).public_key()) == (
            key.key_size,
            key.public_key(),
        )


@pytest.mark.parametrize(
    "coat",
    [
        lambda data: pem_block("PRIVATE KEY", data),
        lambda data: pem_block("PRIVATE KEY", data).replace("\n", " \r\n"),
        lambda data: f"\ufeffKey of the proxy\n{pem_block('PRIVATE KEY', data)}and its end\n",
        lambda data: "\0".join(pem_block("PRIVATE KEY", data)) + "\0",
        lambda data: b64(pem_block("PRIVATE KEY", data).encode("utf-16")),
        lambda data: b64(pem_block("PRIVATE KEY", data).encode()),
        b64,
        lambda data: base64.encodebytes(data).decode(),
        lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
        lambda data: f"data:application/pkcs8;base64,{b64(data)}",
    ],
)
def test_a_key_may_come_in_any_coat_in_both_fields(coat: Callable[[bytes], str]) -> None:
    leaf = issue()
    text = coat(der(leaf.key))
    assert normal(read(text)).public_key() == leaf.key.public_key()
    beside = read_certificate(leaf.pem, text, None, "pem", NOW)
    assert beside.private_key == text.encode()
    assert leaf.key_pem in beside.normal_form.decode()


@pytest.mark.parametrize(
    "label",
    [
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
    ],
)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_the_structure_rules_and_not_the_label(label: str, form: PrivateFormat) -> None:
    for key in (ec_key(), rsa_key()):
        material = read(pem_block(label, der(key, form)))
        assert normal(material).public_key() == key.public_key()


def test_a_sec1_key_takes_its_curve_from_the_parameters_before_it() -> None:
    leaf = issue(key=(key := ec_key()))
    bare = pem_block("EC PRIVATE KEY", sec1(scalar(key)))
    parameters = pem_block("EC PARAMETERS", P256)
    assert normal(read(parameters + bare)).public_key() == key.public_key()
    inside = read_certificate(leaf.pem + parameters + bare, None, None, "pem", NOW)
    beside = read_certificate(leaf.pem, parameters + bare, None, "pem", NOW)
    assert inside.normal_form == beside.normal_form


def test_parameters_that_are_damaged_do_no_harm_to_a_key_that_has_its_own() -> None:
    text = "-----BEGIN EC PARAMETERS-----\n*\n-----END EC PARAMETERS-----\n"
    material = read(text + key_pem(ec_key(), key_format=PrivateFormat.TraditionalOpenSSL))
    assert material.metadata.key_algorithm == "EC"


def test_a_curve_that_is_written_out_gets_its_name() -> None:
    curve, key = ec.SECP256K1(), ec.generate_private_key(ec.SECP256K1())
    generator = ec.derive_private_key(1, curve)
    field = 2**256 - 2**32 - 977  # SEC 2 section 2.4.1
    written_out = asn1.sequence(
        asn1.integer(1),
        asn1.sequence(asn1.oid("1.2.840.10045.1.1"), asn1.integer(field)),
        asn1.sequence(asn1.octets(bytes(32)), asn1.octets(bytes(31) + b"\7")),
        asn1.octets(point(generator)),
        asn1.integer(curve.group_order),
        asn1.integer(1),
    )
    for form in (
        pkcs8(asn1.algorithm(EC_PUBLIC_KEY, written_out), sec1(scalar(key))),
        sec1(scalar(key), asn1.explicit(0, written_out)),
    ):
        assert read(b64(form)).normal_form.decode() == key_pem(key)


def test_a_private_number_with_zeros_too_few_or_too_many_is_the_same_key() -> None:
    small = ec.derive_private_key(0x1234, ec.SECP256R1())
    for number in (b"\x12\x34", b"\0" * 33 + b"\x12\x34"):
        material = read(b64(pkcs8(EC_P256, sec1(number))))
        assert material.normal_form.decode() == key_pem(small)


def test_the_newer_pkcs8_is_read_and_becomes_the_older_one() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    secret, public = asn1.octets(key.private_bytes_raw()), key.public_key().public_bytes_raw()
    attributes = asn1.explicit(0, asn1.sequence(asn1.oid("1.2.3"), asn1.set_of(asn1.NULL)))
    implicit, explicit = tlv(0x81, b"\0" + public), asn1.explicit(1, asn1.bits(public))
    for more in ((implicit,), (explicit,), (attributes, implicit), (attributes,)):
        text = b64(pkcs8(asn1.algorithm(ED25519), secret, *more, version=1))
        assert read(text).normal_form.decode() == key_pem(key)


def test_the_newer_pkcs8_of_an_ec_key_may_have_its_point_compressed() -> None:
    key = ec_key()
    for form in (PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint):
        public = tlv(0x81, b"\0" + key.public_key().public_bytes(Encoding.X962, form))
        text = b64(pkcs8(EC_P256, sec1(scalar(key)), public, version=1))
        assert read(text).normal_form.decode() == key_pem(key)


def test_a_key_bound_to_pss_stays_bound_to_it() -> None:
    bare = der(rsa_key(), PrivateFormat.TraditionalOpenSSL)
    for parameters in ((), (asn1.sequence(),)):
        original = pkcs8(asn1.algorithm(PSS, *parameters), bare)
        material = read(b64(original))
        assert material.metadata.key_algorithm == "RSA"
        body = "".join(material.normal_form.decode().splitlines()[1:-1])
        assert base64.b64decode(body) == original


def test_a_post_quantum_key_with_seed_and_expanded_form_is_known_by_its_seed() -> None:
    key = mldsa.MLDSA65PrivateKey.generate()
    both = asn1.sequence(asn1.octets(key.private_bytes_raw()), asn1.octets(bytes(4032)))
    material = read(b64(pkcs8(asn1.algorithm("2.16.840.1.101.3.4.3.18"), both)))
    assert normal(material).public_key() == key.public_key()


def test_a_key_in_ber_is_read() -> None:
    key = ec_key()
    indefinite = b"\x30\x80" + der(key)[3:] + b"\0\0"
    assert der(key)[1] == 0x81  # so the length has two octets
    for text in (b64(indefinite), pem_block("PRIVATE KEY", indefinite)):
        material = read(text)
        assert material.normal_form.decode() == key_pem(key)
        assert [warning.code for warning in material.metadata.warnings] == ["ber_encoding"]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", bytes(5), b"\x1a"])
def test_what_tools_leave_behind_a_file_does_no_harm(ending: bytes) -> None:
    key = ec_key()
    assert read(b64(der(key) + ending)).normal_form.decode() == key_pem(key)


def test_a_key_that_was_encrypted_under_the_empty_passphrase_needs_none() -> None:
    key = ec_key()
    for made in (
        pbe.pbes2("", rounds=3),
        pbe.pkcs12_pbe("", "pbeWithSHA1And3-KeyTripleDES-CBC", rounds=3),
        pbe.pkcs12_pbe(None, "pbeWithSHA1And3-KeyTripleDES-CBC", rounds=3),
    ):
        assert read(b64(made.encrypted_key(der(key)))).normal_form.decode() == key_pem(key)


def test_an_encrypted_key_may_come_in_base64_of_der() -> None:
    key, made = ec_key(), pbe.pbes2("Grüße", rounds=3)
    material = read(b64(made.encrypted_key(der(key))), "Grüße")
    assert material.normal_form.decode() == key_pem(key)
    assert material.passphrase == "Grüße".encode()
    assert not material.metadata.warnings


@pytest.mark.parametrize("repeated", [2, 3])
def test_the_same_key_several_times_is_one_key(repeated: int) -> None:
    key = ec_key()
    text = key_pem(key) * (repeated - 1) + key_pem(key, key_format=PrivateFormat.TraditionalOpenSSL)
    assert read(text).normal_form.decode() == key_pem(key)
    leaf = issue(key=key)
    assert read_certificate(leaf.pem, text, None, "pem", NOW).metadata.has_private_key


def test_a_key_on_a_curve_that_is_too_small_is_weak() -> None:
    (warning,) = read(key_pem(ec.generate_private_key(ec.SECP192R1()))).metadata.warnings
    assert warning.code == "weak_key"
    assert "224 on an elliptic curve" in warning.message


def test_a_key_alone_has_the_metadata_of_a_key_and_of_no_certificate() -> None:
    content = key_pem(rsa_key(1024), "word")
    material = read(content, "word")
    facts = material.metadata.to_json()
    assert [warning.code for warning in material.metadata.warnings] == ["weak_key"]
    del facts["warnings"]
    assert facts == {
        "subject": None,
        "issuer": None,
        "expires_at": None,
        "has_private_key": True,
        "has_passphrase": True,
        "not_before": None,
        "serial_number": None,
        "sha256_fingerprint": None,
        "dns_names": [],
        "ip_addresses": [],
        "key_algorithm": "RSA",
        "key_size": 1024,
        "signature_algorithm": None,
        "is_ca": None,
        "chain_length": 0,
    }
    assert (
        material.content == key_pem(rsa_key(1024), "word").encode() or material.private_key is None
    )
