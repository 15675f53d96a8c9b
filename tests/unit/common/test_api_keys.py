"""The form of API keys: what a scanner can rely on and a typo runs into."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from services.common import api_keys


def test_a_new_key_has_the_documented_form_and_passes_its_own_check() -> None:
    key = api_keys.generate()
    assert re.fullmatch(r"tk_live_[0-9A-Za-z]{46}", key.token)
    assert api_keys.well_formed(key.token)
    assert key.sha256 == api_keys.digest(key.token)
    assert key.token not in repr(key)
    assert key.token.startswith(key.prefix)


@given(st.integers(0, 45), st.sampled_from(api_keys.ALPHABET))
def test_any_single_mistyped_character_is_noticed(index: int, other: str) -> None:
    token = api_keys.generate("test").token
    place = len("tk_test_") + index
    mistyped = token[:place] + other + token[place + 1 :]
    assert api_keys.well_formed(mistyped) == (mistyped == token)


def test_the_checksum_of_a_known_body_never_changes() -> None:
    # Pinned: a change would refuse every key that is in use.
    assert api_keys.checksum("0" * 40) == "2kaqcA"
    assert api_keys.checksum("a" * 40) == api_keys.checksum("a" * 40)
    assert len(api_keys.checksum("z" * 40)) == api_keys.CHECKSUM_CHARACTERS


@given(st.text(max_size=80))
def test_no_text_whatever_makes_the_check_fail(text: str) -> None:
    assert api_keys.well_formed(text) in {True, False}
