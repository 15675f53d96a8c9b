"""Names, ids and values that clients send."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import UnsupportedTypeError, ValidationError
from services.secrets import values
from services.secrets.model import CreateRequest, SentPayload
from services.secrets.naming import is_name, normalise, parse_id
from services.secrets.values import Faults


def _faults(**fields: object) -> dict[str, list[str]]:
    request = CreateRequest(**({"name": "N", "payload": SentPayload(value="v")} | fields))  # type: ignore[arg-type]
    faults = Faults()
    kind = values.secret_type(request, faults)
    values.draft(request, kind, faults)
    if kind == "string":
        values.string_value(request.payload, faults)
    else:
        values.certificate_fields(request.payload, faults)
    try:
        faults.raise_any()
    except ValidationError as error:
        return error.fields
    return {}


@given(st.text(max_size=200))
def test_a_name_is_taken_exactly_when_its_normal_form_fits(text: str) -> None:
    name = normalise(text)
    fits = re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name) is not None
    assert is_name(name) == fits
    assert normalise(name) == name
    assert ("name" in _faults(name=text)) == (not fits)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("  a  b ", "a_b"), ("a\t\n b", "a_b"), ("Mixed.Case-1", "Mixed.Case-1"), ("a_ b", "a__b")],
)
def test_blanks_become_one_underscore(sent: str, stored: str) -> None:
    assert normalise(sent) == stored


@pytest.mark.parametrize("sent", ["", "   ", "a/b", "ä", "a" * 129, "a\x00b", "a\n/"])
def test_other_names_are_refused(sent: str) -> None:
    assert set(_faults(name=sent)) == {"name"}


@given(st.text())
def test_an_id_is_a_uuid_in_its_usual_form_or_nothing(text: str) -> None:
    found = parse_id(text)
    assert found is None or str(found) == text.lower()


@pytest.mark.parametrize(
    "sent",
    ["{%s}", "urn:uuid:%s", " %s", "%s\n"],
)
def test_other_spellings_of_an_id_are_none(sent: str) -> None:
    assert parse_id(sent % uuid4()) is None
    assert parse_id("A" * 8 + "-AAAA-AAAA-AAAA-" + "A" * 12) == UUID("a" * 32)


@given(st.text(max_size=2000))
def test_a_description_holds_no_control_characters_and_has_a_bound(text: str) -> None:
    bad = len(text) > 1024 or any(
        (ord(c) < 32 and c not in "\n\r\t") or 127 <= ord(c) < 160 for c in text
    )
    assert ("description" in _faults(description=text)) == bad


@pytest.mark.parametrize("length", [1, 65536])
def test_values_within_their_bounds_are_taken(length: int) -> None:
    assert _faults(payload=SentPayload(value="x" * length)) == {}


@pytest.mark.parametrize("value", [None, "", "x" * 65537, "é" * 32769])
def test_values_beyond_their_bounds_are_refused(value: str | None) -> None:
    assert set(_faults(payload=SentPayload(value=value))) == {"value"}


def test_the_fields_of_the_other_type_are_refused_by_name() -> None:
    mixed = SentPayload(
        value="v", certificate_content="c", private_key="k", passphrase="p", certificate_type="pem"
    )
    assert set(_faults(payload=mixed)) == {
        "certificate_content", "private_key", "passphrase", "certificate_type",
    }  # fmt: skip
    assert set(_faults(payload=mixed, secret_type="certificate")) == {"value"}


def test_a_passphrase_alone_is_not_lost_in_silence() -> None:
    sent = SentPayload(value="v", passphrase="")
    assert set(_faults(payload=sent)) == {"passphrase"}


def test_types() -> None:
    for kind in ("api_key", "basic_auth", "custom", "string"):
        assert _faults(secret_type=kind) == {}
    for kind in ("", "STRING", "x"):
        assert set(_faults(secret_type=kind)) == {"secret_type"}
    with pytest.raises(UnsupportedTypeError):
        _faults(secret_type="oauth2")
    assert set(_faults(secret_type="string", is_certificate=True)) >= {"secret_type"}


def test_a_fault_never_quotes_a_value() -> None:
    secret = "canary" * 20000
    found = _faults(payload=SentPayload(value=secret), name="/")
    assert "canary" not in str(found)
    assert "canary" not in repr(CreateRequest(name="n", payload=SentPayload(value=secret)))
