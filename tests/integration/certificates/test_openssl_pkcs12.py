"""PKCS#12 as the openssl and keytool commands really write it."""

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from services.secrets.certificates import CertificateMaterial, CertificateRefused, read_certificate
from services.secrets.certificates.normal_form import read as read_normal_form
from tests.fakes.certificates import NOW, chain

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")
needs_java = pytest.mark.skipif(shutil.which("keytool") is None, reason="no keytool command here")

MADE = chain()
LEAF = MADE.leaf
WORD = "open sesame"
LEGACY = ["-provider", "legacy", "-provider", "default"]


def run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} does not do that here: {done.stderr[-200:]}")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "leaf.pem").write_text(LEAF.pem)
    (tmp_path / "key.pem").write_text(LEAF.key_pem)
    (tmp_path / "issuers.pem").write_text(MADE.intermediate.pem + MADE.root.pem)
    return tmp_path


def export(files: Path, *options: str, word: str = WORD) -> bytes:
    """The leaf with its key and issuers, as openssl exports them with these options."""
    target = files / "out.p12"
    run(
        "openssl", "pkcs12", "-export", "-in", files / "leaf.pem", "-inkey", files / "key.pem",
        "-certfile", files / "issuers.pem", "-name", "a name", "-passout", f"pass:{word}",
        *options, "-out", target,
    )  # fmt: skip
    return target.read_bytes()


def read(data: bytes, word: str | None) -> CertificateMaterial:
    return read_certificate(base64.b64encode(data).decode(), None, word, "p12", NOW)


def reason(data: bytes, word: str | None) -> str | None:
    with pytest.raises(CertificateRefused) as caught:
        read(data, word)
    return caught.value.reason


def legacy(material: CertificateMaterial) -> str:
    """What the warning about encryption says; empty without one."""
    messages = [w.message for w in material.metadata.warnings if w.code == "legacy_encryption"]
    return " ".join(messages)


SOUND: list[list[str]] = [
    [],
    ["-iter", "100000"],
    ["-macalg", "sha1"],
    ["-macalg", "sha384"],
    ["-macalg", "sha512"],
    ["-macalg", "sha512-256"],
    ["-macalg", "sha3-256"],
    ["-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC"],
    ["-keypbe", "CAMELLIA-256-CBC", "-certpbe", "CAMELLIA-128-CBC"],
    ["-certpbe", "NONE"],
    ["-keypbe", "NONE", "-certpbe", "NONE"],
    ["-nomac"],
    ["-nomaciter", "-noiter"],
]
OLD: list[tuple[list[str], str]] = [
    (["-legacy"], "pbeWithSHA1And40BitRC2-CBC"),
    (["-legacy", "-descert"], "pbeWithSHA1And3-KeyTripleDES-CBC"),
    ([*LEGACY, "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC4-40"], "128BitRC2"),
    ([*LEGACY, "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-2DES"], "128BitRC4"),
    ([*LEGACY, "-keypbe", "PBE-MD5-DES", "-certpbe", "PBE-SHA1-DES"], "pbeWithMD5AndDES-CBC"),
    ([*LEGACY, "-keypbe", "des-ede3-cbc", "-certpbe", "rc2-cbc"], "DES-EDE3-CBC"),
    (["-macalg", "md5", "-keypbe", "PBE-SHA1-3DES"], "pbeWithSHA1And3-KeyTripleDES-CBC"),
]


@pytest.mark.parametrize("options", SOUND, ids=" ".join)
def test_files_of_today(options: list[str], files: Path) -> None:
    data = export(files, *options)
    material = read(data, WORD)
    form = read_normal_form(material.normal_form)
    assert form.certificate == LEAF.pem
    assert form.chain == MADE.intermediate.pem + MADE.root.pem
    assert form.private_key == LEAF.key_pem
    assert legacy(material) == ""
    assert reason(data, None) == "passphrase_required"
    assert reason(data, "sesame") == "wrong_passphrase"


@pytest.mark.parametrize(("options", "named"), OLD, ids=[" ".join(o) for o, _ in OLD])
def test_files_of_the_last_twenty_years(options: list[str], named: str, files: Path) -> None:
    data = export(files, *options)
    material = read(data, WORD)
    assert material.metadata.chain_length == 3
    assert material.metadata.has_private_key
    assert named in legacy(material)
    assert reason(data, None) == "passphrase_required"
    assert reason(data, "sesame") == "wrong_passphrase"


def test_a_cipher_that_the_library_does_not_have_is_named(files: Path) -> None:
    data = export(files, "-certpbe", "aria-256-cbc")
    with pytest.raises(CertificateRefused) as caught:
        read(data, WORD)
    assert caught.value.reason == "unsupported_algorithm"
    assert "ARIA-256-CBC" in caught.value.message


@pytest.mark.parametrize("options", [[], ["-legacy"]], ids=["today", "legacy"])
def test_an_empty_passphrase(options: list[str], files: Path) -> None:
    data = export(files, *options, word="")
    for given in (None, ""):
        assert read(data, given).metadata.has_private_key
    assert reason(data, "sesame") == "wrong_passphrase"


def test_no_protection_at_all(files: Path) -> None:
    data = export(files, "-nomac", "-keypbe", "NONE", "-certpbe", "NONE")
    assert read(data, None).metadata.has_private_key


@pytest.mark.parametrize("options", [[], ["-legacy"]], ids=["today", "legacy"])
@pytest.mark.parametrize("word", ["Žluťoučký kůň", "пароль", "密码"])
def test_a_passphrase_beyond_ascii(word: str, options: list[str], files: Path) -> None:
    data = export(files, *options, word=word)
    assert read(data, word).metadata.has_private_key
    assert reason(data, word[:-1]) == "wrong_passphrase"


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-legacy"]], ids=["today", "legacy"])
def test_a_dear_file_from_a_terminal_in_windows_1252(options: list[str], files: Path) -> None:
    typed = os.fsdecode("pässwörd€".encode("cp1252"))
    data = export(files, *options, "-iter", "600000", word=typed)
    assert read(data, "pässwörd€").metadata.has_private_key
    assert reason(data, "password") == "wrong_passphrase"


def test_certificates_alone_and_keys_alone(files: Path) -> None:
    target = files / "alone.p12"
    shared: list[str | Path] = ["-passout", f"pass:{WORD}", "-out", target]
    run("openssl", "pkcs12", "-export", "-nokeys", "-in", files / "leaf.pem", *shared)
    assert not read(target.read_bytes(), WORD).metadata.has_private_key
    run("openssl", "pkcs12", "-export", "-nocerts", "-inkey", files / "key.pem", *shared)
    assert reason(target.read_bytes(), WORD) == "no_certificate"


def test_a_file_with_two_different_passphrases(files: Path) -> None:
    target = files / "two.p12"
    command = ["openssl", "pkcs12", "-export", "-twopass", "-in", files / "leaf.pem"]
    command += ["-inkey", files / "key.pem", "-out", target]
    words = "\n".join(["for the MAC", "for the MAC", "for the rest", "for the rest", ""])
    done = subprocess.run(
        list(map(str, command)), input=words, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("openssl asks for passphrases on a terminal only")
    assert reason(target.read_bytes(), "for the MAC") == "wrong_passphrase"
    assert reason(target.read_bytes(), "for the rest") == "malformed"


def keytool(store: Path, *arguments: str | Path) -> None:
    run("keytool", *arguments, "-keystore", store, "-storetype", "PKCS12", "-storepass", WORD)


@needs_java
def test_a_java_keystore_with_a_key_and_a_trusted_certificate(files: Path) -> None:
    store = files / "store.p12"
    ca = files / "ca.pem"
    ca.write_text(MADE.root.pem)
    keytool(store, "-importcert", "-noprompt", "-alias", "trusted", "-file", ca)
    keytool(store, "-genkeypair", "-keyalg", "EC", "-alias", "first", "-dname", "CN=first")
    material = read(store.read_bytes(), WORD)
    assert material.metadata.subject == "CN=first"
    assert material.metadata.has_private_key
    assert legacy(material) == ""
    assert reason(store.read_bytes(), None) == "passphrase_required"
    assert reason(store.read_bytes(), "sesame") == "wrong_passphrase"


@needs_java
def test_a_java_trust_store_without_any_key(files: Path) -> None:
    store, ca = files / "trust.p12", files / "ca.pem"
    ca.write_text(MADE.root.pem)
    keytool(store, "-importcert", "-noprompt", "-alias", "trusted", "-file", ca)
    material = read(store.read_bytes(), WORD)
    assert material.metadata.is_ca
    assert not material.metadata.has_private_key


@needs_java
def test_a_java_keystore_as_before_java_17(files: Path) -> None:
    store = files / "old.p12"
    made = ["-genkeypair", "-keyalg", "EC", "-alias", "first", "-dname", "CN=first"]
    keytool(store, "-J-Dkeystore.pkcs12.legacy", *made)
    assert "pbeWithSHA1And40BitRC2-CBC" in legacy(read(store.read_bytes(), WORD))
    assert reason(store.read_bytes(), "sesame") == "wrong_passphrase"


@needs_java
def test_a_java_keystore_without_password(files: Path) -> None:
    store, ca = files / "open.p12", files / "ca.pem"
    ca.write_text(MADE.root.pem)
    settings = ["certProtectionAlgorithm", "macAlgorithm"]
    flags = [f"-J-Dkeystore.pkcs12.{name}=NONE" for name in settings]
    keytool(store, *flags, "-importcert", "-noprompt", "-alias", "trusted", "-file", ca)
    assert read(store.read_bytes(), None).metadata.is_ca
