"""A stand-in's ciphertext opens with exactly its material and context."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcloud.aws import blob
from devcloud.aws.model import Material
from devcloud.ciphertexts import CiphertextError

KEY_ID = str(uuid.UUID(int=7))
MATERIAL = Material(id="ab" * 32, secret=os.urandom(32))
CONTEXTS = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)


@given(CONTEXTS, CONTEXTS)
def test_two_contexts_have_the_same_bytes_only_when_they_are_equal(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (blob.canonical(one) == blob.canonical(other)) == (one == other)


def test_a_blob_names_its_key_and_material() -> None:
    parsed = blob.parse(blob.seal(b"x", key_id=KEY_ID, material=MATERIAL, context={"a": "b"}))
    assert (parsed.key_id, blob.material_id(parsed)) == (KEY_ID, MATERIAL.id)
    assert blob.open_blob(parsed, material=MATERIAL, context={"a": "b"}) == b"x"


def test_a_change_of_any_byte_is_noticed() -> None:
    raw = blob.seal(b"secret", key_id=KEY_ID, material=MATERIAL, context={})
    for position in range(len(raw)):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(CiphertextError):
            blob.open_blob(blob.parse(changed), material=MATERIAL, context={})


def test_key_material_is_not_shown() -> None:
    assert "secret" not in repr(MATERIAL)
