"""Papers that somebody will have to believe: what is signed, by whom, and that the key stays inside."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from services.common.errors import UnavailableError
from services.common.sensitive import SecretBytes
from services.common.settings import SettingsError
from services.kms.lifecycle.receipts import RECEIPT_TYPE
from services.kms.papers import Papers, PublicKey, payload_of

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "receipt-1.json"
RECEIPTS: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))
PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8)
# RFC 8037, appendix A.1 and A.3.
RFC_D = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
RFC_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def pem(key: Any) -> bytes:
    made: bytes = key.private_bytes(*PKCS8, NoEncryption())
    return made


def public_pem(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


def papers_of(key: ed25519.Ed25519PrivateKey, previous: Path | None = None) -> Papers:
    return Papers(SecretBytes(pem(key)), previous)


def test_a_key_has_the_name_that_the_rfc_gives_it() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(RFC_D + "="))
    assert PublicKey.of(key.public_key()) == PublicKey(RFC_THUMBPRINT, RFC_X)


@pytest.mark.parametrize("vector", RECEIPTS, ids=lambda vector: vector["statement"]["wrap_method"])
def test_a_receipt_of_an_older_release_is_made_the_same_today(vector: dict[str, Any]) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["signing_key"]))
    assert papers_of(key).sign(RECEIPT_TYPE, vector["statement"]) == vector["jws"]
    assert payload_of(vector["jws"]) == vector["statement"]


def test_a_paper_has_the_documented_form_and_its_signature_holds() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    papers = papers_of(key)
    jws = papers.sign("some-kind", {"b": "ü", "a": None})
    header, payload, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in jws.split(".")
    )
    (public,) = papers.public_keys
    assert json.loads(header) == {"alg": "EdDSA", "kid": public.kid, "typ": "some-kind"}
    assert payload == '{"b":"ü","a":null}'.encode()
    key.public_key().verify(signature, jws.rpartition(".")[0].encode())


async def test_papers_of_keys_that_signed_before_are_read_as_long_as_they_are_published(
    tmp_path: Path,
) -> None:
    old, now = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    jws = papers_of(old).sign("some-kind", {"a": 1})
    previous = tmp_path / "previous.pem"
    previous.write_bytes(public_pem(old))
    papers = papers_of(now, previous)
    with pytest.raises(UnavailableError):
        papers.read("some-kind", jws)
    await papers.open()
    assert papers.read("some-kind", jws) == {"a": 1}
    assert papers.read("another-kind", jws) is None


def test_the_private_key_is_in_no_repr_and_no_pickle() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    papers = papers_of(key)
    secret = key.private_bytes_raw()
    for text in (repr(papers), str(papers), f"{papers.public_keys}"):
        assert secret.hex() not in text
        assert base64.urlsafe_b64encode(secret).decode().rstrip("=") not in text
        assert base64.b64encode(secret).decode().rstrip("=") not in text
    with pytest.raises(TypeError):
        pickle.dumps(papers)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ed448.Ed448PrivateKey.generate()),
        public_pem(ed25519.Ed25519PrivateKey.generate()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            *PKCS8, BestAvailableEncryption(b"passphrase")
        ),
    ],
    ids=["nothing", "damaged", "ec", "ed448", "public", "encrypted"],
)
def test_a_key_that_cannot_sign_stops_the_process_naming_the_variable(text: bytes) -> None:
    with pytest.raises(SettingsError, match="COFFER_KMS_SIGNING_KEY must be an Ed25519") as caught:
        Papers(SecretBytes(text))
    assert "AAAA" not in str(caught.value)


async def test_keys_that_signed_before_stay_published_after_the_present_one(tmp_path: Path) -> None:
    present, *before = (ed25519.Ed25519PrivateKey.generate() for _ in range(3))
    file = tmp_path / "previous.pem"
    # The present key may be in the file already: it is published once.
    file.write_bytes(b"\n".join(map(public_pem, (*before, present))))
    papers = papers_of(present, file)
    await papers.open()
    wanted = [PublicKey.of(key.public_key()) for key in (present, *before)]
    assert list(papers.public_keys) == wanted


async def test_an_empty_file_of_previous_keys_holds_none(tmp_path: Path) -> None:
    file = tmp_path / "previous.pem"
    file.write_bytes(b"\n")
    papers = papers_of(ed25519.Ed25519PrivateKey.generate(), file)
    await papers.open()
    assert len(papers.public_keys) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"hello",
        public_pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        public_pem(ed25519.Ed25519PrivateKey.generate()) + b"and more",
        public_pem(ed25519.Ed25519PrivateKey.generate())
        + pem(ed25519.Ed25519PrivateKey.generate()),
        None,
    ],
    ids=["text", "ec", "private", "more", "private-too", "missing"],
)
async def test_a_file_of_previous_keys_with_anything_else_in_it_stops_the_process(
    tmp_path: Path, text: bytes | None
) -> None:
    file = tmp_path / "previous.pem"
    if text is not None:
        file.write_bytes(text)
    papers = papers_of(ed25519.Ed25519PrivateKey.generate(), file)
    with pytest.raises(SettingsError, match="COFFER_KMS_PREVIOUS_SIGNING_KEYS_FILE"):
        await papers.open()
