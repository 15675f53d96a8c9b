"""The same facts as the openssl command shows, and keys as it really writes them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from services.secrets.certificates import CertificateMetadata, CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, chain, issue, key_pem, rsa_key

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this openssl does not do that: {done.stderr[-200:]}")
    return done.stdout


def metadata(content: str, key: str | None = None, word: str | None = None) -> CertificateMetadata:
    return read_certificate(content, key, word, "pem", NOW).metadata


def test_facts_agree_with_openssl(tmp_path: Path) -> None:
    made = chain(rsa_key())
    root = issue("Root", key=rsa_key(), ca=True)
    for leaf in (made.leaf, root, issue(serial=0x0F, dns=["a.example"], by=root)):
        file = tmp_path / "leaf.pem"
        file.write_text(leaf.pem)
        shown = openssl(
            "x509", "-in", file, "-noout", "-serial", "-fingerprint", "-sha256",
            "-subject", "-issuer", "-nameopt", "RFC2253", "-enddate", "-dateopt", "iso_8601",
        )  # fmt: skip
        text = openssl("x509", "-in", file, "-noout", "-text")
        facts = metadata(leaf.pem)
        said = dict(re.findall(r"(?m)^([^=]+)=(.*)$", shown))
        assert facts.serial_number == said["serial"].lower()
        fingerprint = next(value for key, value in said.items() if "ingerprint" in key)
        assert facts.sha256_fingerprint == fingerprint.replace(":", "").lower()
        assert facts.subject == said["subject"].replace(",", ", ")
        assert facts.issuer == said["issuer"].replace(",", ", ")
        assert f"Signature Algorithm: {facts.signature_algorithm}" in text
        assert f"Public-Key: ({facts.key_size} bit)" in text
        assert facts.expires_at is not None
        assert said["notAfter"] == facts.expires_at.strftime("%Y-%m-%d %H:%M:%SZ")


RSA = issue(key=rsa_key())

ENCRYPTIONS = [
    (["pkcs8", "-topk8", "-v2", "aes256", "-iter", "600000"], False),
    (["pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"], False),
    (["pkcs8", "-topk8", "-scrypt"], False),
    (["pkcs8", "-topk8", "-v2", "des3"], True),
    (["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"], True),
    (
        ["pkcs8", "-topk8", "-v1", "PBE-MD5-DES", "-provider", "legacy", "-provider", "default"],
        True,
    ),
    (["rsa", "-traditional", "-aes256"], True),
    (["rsa", "-traditional", "-des3"], True),
]


@pytest.mark.parametrize(
    ("command", "legacy"), ENCRYPTIONS, ids=[" ".join(c) for c, _ in ENCRYPTIONS]
)
def test_keys_as_openssl_encrypts_them(command: list[str], legacy: bool, tmp_path: Path) -> None:
    source, target = tmp_path / "plain.pem", tmp_path / "locked.pem"
    source.write_text(RSA.key_pem)
    openssl(*command, "-in", source, "-out", target, "-passout", "pass:open sesame")
    locked = target.read_text()
    facts = metadata(RSA.pem, locked, "open sesame")
    assert ("legacy_encryption" in {w.code for w in facts.warnings}) is legacy
    for wrong, reason in ((None, "passphrase_required"), ("sesame", "wrong_passphrase")):
        with pytest.raises(CertificateRefused) as caught:
            metadata(RSA.pem, locked, wrong)
        assert caught.value.reason == reason


def test_an_ec_key_as_openssl_writes_it_has_a_parameters_block(tmp_path: Path) -> None:
    key, certificate = tmp_path / "ec.pem", tmp_path / "leaf.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", key)
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=ec", "-out", certificate)
    assert "EC PARAMETERS" in key.read_text()
    assert metadata(certificate.read_text(), key.read_text()).has_private_key


@pytest.mark.parametrize(
    ("digest", "codes"),
    [("-sha1", {"weak_signature"}), ("-md5", {"weak_signature"}), ("-sha384", set())],
)
def test_weak_digests_of_real_signatures(digest: str, codes: set[str], tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "leaf.pem"
    key.write_text(key_pem(rsa_key()))
    openssl("req", "-x509", "-new", digest, "-key", key, "-subj", "/CN=old", "-out", certificate)
    found = {warning.code for warning in metadata(certificate.read_text()).warnings}
    assert found & {"weak_signature"} == codes
    assert "self_signed" in found


def test_a_pss_signature_over_sha1_is_weak(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "leaf.pem"
    key.write_text(key_pem(rsa_key()))
    openssl(
        "req", "-x509", "-new", "-sha1", "-sigopt", "rsa_padding_mode:pss",
        "-key", key, "-subj", "/CN=pss", "-out", certificate,
    )  # fmt: skip
    facts = metadata(certificate.read_text(), key.read_text())
    assert facts.signature_algorithm == "rsassaPss"
    assert "weak_signature" in {warning.code for warning in facts.warnings}


def test_what_openssl_trusts_is_read_as_the_certificate_it_is(tmp_path: Path) -> None:
    plain, trusted = tmp_path / "leaf.pem", tmp_path / "trusted.pem"
    plain.write_text(RSA.pem)
    openssl("x509", "-in", plain, "-trustout", "-out", trusted)
    assert "BEGIN TRUSTED CERTIFICATE" in trusted.read_text()
    assert metadata(trusted.read_text()) == metadata(RSA.pem)


def test_containers_in_base64_are_named(tmp_path: Path) -> None:
    certificate, key = tmp_path / "leaf.pem", tmp_path / "key.pem"
    certificate.write_text(RSA.pem)
    key.write_text(RSA.key_pem)
    pkcs7, pkcs12 = tmp_path / "leaf.p7b", tmp_path / "leaf.p12"
    openssl("crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform", "DER", "-out", pkcs7)
    openssl(
        "pkcs12", "-export", "-in", certificate, "-inkey", key, "-passout", "pass:x", "-out", pkcs12
    )
    for file, said in ((pkcs7, "PKCS#7"), (pkcs12, "PKCS#12")):
        text = openssl("base64", "-in", file)
        with pytest.raises(CertificateRefused) as caught:
            metadata(text)
        assert said in caught.value.message
