"""What ties an answer of Google to its request: a swapped, damaged or made-up one must not pass."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from uuid import UUID

import google_crc32c
import pytest
from google.cloud.kms_v1.types import DecryptResponse, EncryptResponse

from services.kms.model import KeyFacts
from services.kms.providers.gcp import integrity
from services.kms.providers.gcp.integrity import MismatchError, NonsenseError
from services.kms.providers.gcp.names import is_version_of, key_of

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "kga-1.json"
KEY = "projects/customer/locations/eu/keyRings/r/cryptoKeys/k"
VERSION = f"{KEY}/cryptoKeyVersions/3"
FACTS = KeyFacts(UUID(int=1), UUID(int=2))
MASTER_KEY = bytes(range(32))
CIPHERTEXT = b"ciphertext"


def golden() -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("vector", golden(), ids=lambda v: str(v["name"]))
def test_what_was_wrapped_once_stays_bound_to_the_same_bytes(vector: dict[str, Any]) -> None:
    tenant, key = UUID(vector["tenant_id"]), UUID(vector["key_id"])
    assert integrity.context(KeyFacts(tenant, key)).hex() == vector["context"]
    # And without any code of the product:
    parts = (b"coffer/master-key-context", b"KGA1", tenant.bytes, key.bytes)
    by_hand = b"CAAD\x01" + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    assert by_hand.hex() == vector["context"]


def test_requests_carry_the_context_and_a_checksum_of_everything() -> None:
    wrap = integrity.encrypt_request(KEY, FACTS, MASTER_KEY)
    unwrap = integrity.decrypt_request(KEY, FACTS, CIPHERTEXT)
    context = integrity.context(FACTS)
    for request in (wrap, unwrap):
        assert request.name == KEY
        assert request.additional_authenticated_data == context
        assert request.additional_authenticated_data_crc32c == google_crc32c.value(context)
    assert wrap.plaintext_crc32c == google_crc32c.value(MASTER_KEY)
    assert unwrap.ciphertext_crc32c == google_crc32c.value(CIPHERTEXT)


def answer_to_encrypt(**other: Any) -> EncryptResponse:
    fields = {
        "name": VERSION,
        "ciphertext": CIPHERTEXT,
        "ciphertext_crc32c": google_crc32c.value(CIPHERTEXT),
        "verified_plaintext_crc32c": True,
        "verified_additional_authenticated_data_crc32c": True,
    }
    return EncryptResponse(**(fields | other))


def answer_to_decrypt(**other: Any) -> DecryptResponse:
    fields = {"plaintext": MASTER_KEY, "plaintext_crc32c": google_crc32c.value(MASTER_KEY)}
    return DecryptResponse(**(fields | other))


def test_a_whole_answer_passes_with_the_version_that_encrypted() -> None:
    wrapped = integrity.encrypted(answer_to_encrypt(), KEY)
    assert (wrapped.blob, wrapped.key_ref) == (CIPHERTEXT, VERSION)
    assert integrity.decrypted(answer_to_decrypt()) == MASTER_KEY


@pytest.mark.parametrize(
    "wrong",
    [
        {"verified_plaintext_crc32c": False},
        {"verified_additional_authenticated_data_crc32c": False},
        {"ciphertext_crc32c": 1},
        {"ciphertext_crc32c": None},
        {"ciphertext": b"other"},
        {"name": KEY},
        {"name": f"{KEY}2/cryptoKeyVersions/3"},
        {"name": VERSION.replace("customer", "stranger")},
        {"name": VERSION.replace("/eu/", "/us/")},
    ],
    ids=str,
)
def test_a_damaged_or_swapped_ciphertext_is_not_stored(wrong: dict[str, Any]) -> None:
    with pytest.raises(MismatchError):
        integrity.encrypted(answer_to_encrypt(**wrong), KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"plaintext_crc32c": 1},
        {"plaintext_crc32c": None},
        {"plaintext": bytes(32)},
        {"plaintext": b"short", "plaintext_crc32c": google_crc32c.value(b"short")},
    ],
    ids=str,
)
def test_a_damaged_plaintext_is_no_master_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(MismatchError):
        integrity.decrypted(answer_to_decrypt(**wrong))


def test_an_empty_answer_is_none() -> None:
    for empty in (None, EncryptResponse()):
        with pytest.raises(NonsenseError):
            integrity.encrypted(empty, KEY)
    for nothing in (None, DecryptResponse()):
        with pytest.raises(NonsenseError):
            integrity.decrypted(nothing)


def test_a_project_may_be_asked_by_number_and_answer_with_its_id() -> None:
    by_number = KEY.replace("customer", "123456789012")
    assert is_version_of(VERSION, by_number)
    assert is_version_of(f"{by_number}/cryptoKeyVersions/1", KEY)
    assert not is_version_of(VERSION.replace("keyRings/r", "keyRings/s"), by_number)
    other_number = KEY.replace("customer", "999999999999")
    assert not is_version_of(f"{other_number}/cryptoKeyVersions/1", by_number)


def test_the_key_of_a_version_is_what_decrypt_names() -> None:
    assert key_of(VERSION) == key_of(KEY) == KEY
    assert key_of("no name at all") == "no name at all"
