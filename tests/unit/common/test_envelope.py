"""Threats against sealed fields: what was moved, swapped or changed must not open."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import aad
from services.common.envelope import CannotOpenError, FieldFacts, open_, seal

KEY = os.urandom(32)
FACTS = FieldFacts(uuid.uuid4(), uuid.uuid4(), uuid.uuid4(), 1, uuid.uuid4())


def test_a_field_opens_where_it_belongs() -> None:
    assert open_(KEY, FACTS, "value", seal(KEY, FACTS, "value", b"s3cret")) == b"s3cret"


@pytest.mark.parametrize("fact", ["tenant_id", "secret_id", "environment_id", "data_key_id"])
def test_a_field_moved_to_another_place_does_not_open(fact: str) -> None:
    sealed = seal(KEY, FACTS, "value", b"s3cret")
    with pytest.raises(CannotOpenError):
        open_(KEY, replace(FACTS, **{fact: uuid.uuid4()}), "value", sealed)  # type: ignore[arg-type]


def test_an_old_version_does_not_open_as_a_new_one() -> None:
    sealed = seal(KEY, FACTS, "value", b"s3cret")
    with pytest.raises(CannotOpenError):
        open_(KEY, replace(FACTS, value_version=2), "value", sealed)


def test_a_passphrase_does_not_open_as_a_private_key() -> None:
    sealed = seal(KEY, FACTS, "passphrase", b"s3cret")
    with pytest.raises(CannotOpenError):
        open_(KEY, FACTS, "private_key", sealed)


@given(st.integers(0, 37), st.integers(1, 255))
def test_any_changed_byte_is_noticed(index: int, change: int) -> None:
    sealed = bytearray(seal(KEY, FACTS, "value", b"s3cret"))
    sealed[index % len(sealed)] ^= change
    with pytest.raises(CannotOpenError):
        open_(KEY, FACTS, "value", bytes(sealed))


@given(st.binary(max_size=64))
def test_garbage_is_refused_and_never_an_error_of_ours(garbage: bytes) -> None:
    with pytest.raises(CannotOpenError):
        open_(KEY, FACTS, "value", garbage)


def test_the_same_value_never_seals_to_the_same_bytes() -> None:
    assert seal(KEY, FACTS, "value", b"x") != seal(KEY, FACTS, "value", b"x")


def test_a_key_of_another_length_seals_nothing() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal(b"short", FACTS, "value", b"x")


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_two_lists_of_facts_never_share_their_bytes(one: list[bytes], two: list[bytes]) -> None:
    assert (aad.encode("p", *one) == aad.encode("p", *two)) == (one == two)
