"""Private keys as the openssl command makes and protects them, and its opinion of our normal form."""

import shutil
import subprocess
from pathlib import Path

import pytest

from services.secrets.certificates import CertificateMaterial, CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, ec_key, key_pem

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")

LEGACY = ("-provider", "legacy", "-provider", "default")


def openssl(*arguments: str | Path, given: str = "") -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        pytest.skip(f"this openssl does not do that: {done.stderr[-200:]}")
    return done.stdout


def read(content: str, passphrase: str | None = None) -> CertificateMaterial:
    return read_certificate(content, None, passphrase, "key", NOW)


def reason(content: str, passphrase: str | None = None) -> str | None:
    with pytest.raises(CertificateRefused) as caught:
        read(content, passphrase)
    return caught.value.reason


def curve(name: str, *more: str) -> list[str]:
    return ["EC", "-pkeyopt", f"ec_paramgen_curve:{name}", *more]


EXPLICIT = ("-pkeyopt", "ec_param_enc:explicit")
PSS = ["-pkeyopt", "rsa_pss_keygen_md:sha256", "-pkeyopt", "rsa_pss_keygen_mgf1_md:sha256"]


@pytest.mark.parametrize(
    "kind",
    [
        ["RSA"],
        ["RSA-PSS"],
        ["RSA-PSS", *PSS, "-pkeyopt", "rsa_pss_keygen_saltlen:32"],
        ["ED25519"],
        ["ED448"],
        ["X25519"],
        ["X448"],
        ["ML-DSA-65"],
        *(
            curve(name, *more)
            for name in ("P-256", "P-521", "secp256k1", "prime192v1", "brainpoolP384r1")
            for more in ((), EXPLICIT)
        ),
    ],
    ids=" ".join,
)
def test_openssl_finds_the_same_key_in_the_normal_form(kind: list[str]) -> None:
    made = openssl("genpkey", "-algorithm", *kind)
    normal = read(made).normal_form.decode()
    named = ["-ec_param_enc", "named_curve"] if kind[0] == "EC" else []
    shown = openssl("pkey", "-pubout", *named, given=made)
    assert openssl("pkey", "-pubout", given=normal) == shown
    assert "explicit" in " ".join(kind) or normal == made


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (["RSA", "-pkeyopt", "rsa_keygen_primes:3"], "more than two primes"),
        (["DH", "-pkeyopt", "group:ffdhe2048"], "Diffie-Hellman"),
        (["SM2"], "1.2.156.10197.1.301"),
        (curve("brainpoolP256t1"), "1.3.36.3.3.2.8.1.1.8"),
        (curve("secp112r1", *EXPLICIT), "has no name here"),
    ],
)
def test_kinds_that_are_not_supported_are_named(kind: list[str], named: str) -> None:
    with pytest.raises(CertificateRefused) as caught:
        read(openssl("genpkey", "-algorithm", *kind))
    assert caught.value.reason == "unsupported_algorithm"
    assert named in caught.value.message


@pytest.mark.parametrize("method", ["PBE-SHA1-3DES", "PBE-SHA1-RC2-40", "PBE-MD5-DES"])
@pytest.mark.parametrize("words", ["open sesame", "Grüße 😀", "x" * 300])
def test_old_methods_take_any_passphrase(method: str, words: str) -> None:
    key = key_pem(ec_key())
    locked = openssl(
        "pkcs8", "-topk8", "-v1", method, "-passout", f"pass:{words}", *LEGACY, given=key
    )
    assert read(locked, words).normal_form.decode() == key
    assert reason(locked, words + "!") == "wrong_passphrase"
    assert reason(locked) == "passphrase_required"


@pytest.mark.parametrize("method", [("-v1", "PBE-SHA1-3DES"), ("-v2", "aes256"), ("-scrypt",)])
def test_a_key_that_openssl_encrypted_without_words_is_opened_without(
    method: tuple[str, ...],
) -> None:
    key = key_pem(ec_key())
    locked = openssl("pkcs8", "-topk8", *method, "-passout", "pass:", given=key)
    assert read(locked).normal_form.decode() == key


@pytest.mark.parametrize("cipher", ["des", "des3", "aes192", "camellia128", "seed"])
def test_traditional_keys_are_opened(cipher: str) -> None:
    key = key_pem(ec_key())
    locked = openssl("ec", f"-{cipher}", "-passout", "pass:word", *LEGACY, given=key)
    assert read(locked, "word").normal_form.decode() == key
    assert reason(locked, "sword") == "wrong_passphrase"


def test_a_cipher_that_is_not_supported_is_named() -> None:
    key = key_pem(ec_key())
    for command in (["pkcs8", "-topk8", "-v2", "aria256"], ["ec", "-aria256"]):
        locked = openssl(*command, "-passout", "pass:word", given=key)
        with pytest.raises(CertificateRefused) as caught:
            read(locked, "word")
        assert caught.value.reason == "unsupported_algorithm"
        assert "ARIA-256-CBC" in caught.value.message


def test_a_dsa_key_is_read_in_all_its_forms() -> None:
    made = openssl("dsaparam", "-genkey", "1024")  # parameters, and the key after them
    alone = "-----BEGIN" + made.rpartition("-----BEGIN")[2]
    modern = openssl("pkcs8", "-topk8", "-nocrypt", given=alone)
    traditional = openssl("pkey", "-traditional", given=modern)
    assert "DSA PRIVATE KEY" in traditional
    for text in (made, traditional, modern):
        assert read(text).normal_form.decode() == modern


def test_a_key_in_der_is_read(tmp_path: Path) -> None:
    key, file = key_pem(ec_key()), tmp_path / "key.der"
    openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-out", file, given=key)
    assert read(openssl("base64", "-in", file)).normal_form.decode() == key
