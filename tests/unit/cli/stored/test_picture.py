"""What a person would misread in the picture of a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.stored.certificates.picture import chain_of, show_picture
from services.secrets.certificates import read_certificate
from tests.fakes.certificates import NOW, chain
from tests.fakes.odd_certificates import odd, odd_key, odd_pem

if TYPE_CHECKING:
    import pytest


def picture(capsys: pytest.CaptureFixture[str], content: str) -> str:
    material = read_certificate(content, None, None, "pem", NOW)
    facts: dict[str, Any] = material.metadata.to_json()
    show_picture("pem", facts, chain_of(material.normal_form), NOW)
    return capsys.readouterr().out


def fact(shown: str, name: str) -> str:
    (line,) = [line for line in shown.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).strip()


def test_a_key_without_a_size_has_no_number_of_bits(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = odd(key=odd_key("1.2.643.7.1.1.1.1"))
    assert fact(picture(capsys, odd_pem(unknown)), "key") == "GOST R 34.10-2012 (256 bit)"
    known = picture(capsys, chain().leaf.pem)
    assert fact(known, "key") == "EC, 256 bits"


def test_places_in_the_chain_are_not_taken_for_those_in_the_file_that_warnings_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = chain()
    shown = picture(capsys, made.root.pem + made.leaf.pem + made.intermediate.pem)
    assert "The leaf is number 2 of the file" in shown
    head = next(line for line in shown.splitlines() if "issuer" in line and "what" in line)
    assert head.startswith("in chain")
