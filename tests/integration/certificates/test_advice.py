"""What a refusal tells people to run, with the file that was refused: it must lead to one that is read."""

import base64
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from services.secrets.certificates import CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, Key, ec_key, issue, key_pem, rsa_key

LEAF = issue(dns=["example.com"])


def run(*arguments: str | Path, given: bytes = b"") -> bytes:
    """The output of a command; the test is skipped where it is missing or cannot do that."""
    if shutil.which(str(arguments[0])) is None:
        pytest.skip(f"no {arguments[0]} command here")
    done = subprocess.run(
        [str(one) for one in arguments], input=given, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this {arguments[0]} does not do that: {done.stderr[-200:]!r}")
    return done.stdout


def refused(content: str, certificate_type: str, passphrase: str | None = None) -> str:
    """The message."""
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, None, passphrase, certificate_type, NOW)
    return caught.value.message


def advised(message: str, **files: Path) -> list[str]:
    """The first command in the message, with files for its places."""
    quoted = re.search("'((?:openssl|ssh-keygen) [^']+)'", message)
    assert quoted is not None
    return [
        str(files[word[1:-1]]) if word.startswith("<") else word for word in quoted[1].split(" ")
    ]


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ec", "rsa"])
def test_an_openssh_key_becomes_one_that_is_read(key: Key, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    file.chmod(0o600)
    command = advised(refused(file.read_text(), "key"), copy=file)
    run(*command, "-P", "", "-N", "")
    assert read_certificate(file.read_text(), None, None, "key", NOW).metadata.has_private_key


def test_a_private_key_blob_becomes_a_key_that_is_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = run("openssl", "rsa", "-outform", "MSBLOB", given=key_pem(rsa_key()).encode())
    file.write_bytes(made)
    command = advised(refused(base64.b64encode(made).decode(), "key"), file=file)
    text = run(*command).decode()
    assert read_certificate(text, None, None, "key", NOW).metadata.key_algorithm == "RSA"


def test_a_netscape_sequence_becomes_certificates_that_are_read(tmp_path: Path) -> None:
    file = tmp_path / "sequence"
    file.write_bytes(run("openssl", "nseq", "-toseq", given=LEAF.pem.encode()))
    text = run(*advised(refused(file.read_text(), "pem"), file=file)).decode()
    metadata = read_certificate(text, LEAF.key_pem, None, "pem", NOW).metadata
    assert metadata.dns_names == ("example.com",)


def test_a_key_under_a_cipher_of_old_becomes_one_that_is_read() -> None:
    legacy = ("-provider", "legacy", "-provider", "default")
    sealed = run(
        *("openssl", "pkcs8", "-topk8", "-v2", "bf-cbc", "-passout", "pass:x", *legacy),
        given=LEAF.key_pem.encode(),
    )
    message = refused(sealed.decode(), "key", "x")
    assert " ".join(legacy) in message
    again = run(
        *(*advised(message), *legacy, "-passin", "pass:x", "-passout", "pass:y"), given=sealed
    )
    assert read_certificate(again.decode(), None, "y", "key", NOW).metadata.has_private_key
