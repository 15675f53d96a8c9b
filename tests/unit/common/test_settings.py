"""What an operator is told when settings are wrong, and what never shows."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from services.common.settings import Address, Reader, SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def faults(reader: Reader) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        reader.finish()
    return str(refusal.value).splitlines()


def test_every_fault_is_told_at_once_by_the_name_of_its_variable() -> None:
    reader = Reader({"A": "x", "B": "0", "C": "host", "D": "maybe", "E": "-1"})
    reader.integer("A", 1, minimum=1, maximum=9)
    reader.integer("B", 1, minimum=1, maximum=9)
    reader.address("C")
    reader.flag("D", default=True)
    reader.seconds("E", 1.0, minimum=0.5, maximum=9)
    reader.text("F")
    told = faults(reader)
    assert [line.split()[0] for line in told] == ["A", "B", "C", "D", "E", "F"]


def test_a_secret_comes_from_its_file_and_its_newline_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("canary\n")
    reader = Reader({"KEY_FILE": str(file)})
    assert reader.secret("KEY") == "canary"
    reader.finish()


def test_a_missing_secret_file_is_a_fault_that_names_the_variable(tmp_path: Path) -> None:
    reader = Reader({"KEY_FILE": str(tmp_path / "none")})
    reader.secret("KEY")
    assert faults(reader)[0].startswith("KEY_FILE ")


@pytest.mark.parametrize("value", ["canary!", base64.b64encode(b"canary").decode(), ""])
def test_a_bad_key_is_refused_without_showing_it(value: str) -> None:
    reader = Reader({"KEY": value})
    reader.key_bytes("KEY", 32)
    told = faults(reader)
    assert told[-1] == "KEY must be 32 bytes in base64"
    assert "canary" not in "\n".join(told)


def test_an_ipv6_address_keeps_its_brackets_outside() -> None:
    address = Reader({"LISTEN": "[::1]:50051"}).address("LISTEN")
    assert address == Address("::1", 50051)
    assert str(address) == "[::1]:50051"


def test_defaults_stand_when_nothing_is_said() -> None:
    reader = Reader({"EMPTY": ""})
    assert reader.integer("N", 7, minimum=1, maximum=9) == 7
    assert reader.seconds("S", 2.5, minimum=0, maximum=9) == 2.5
    assert reader.text("EMPTY", "default") == "default"
    assert reader.names("LIST") == ()
    reader.finish()


@pytest.mark.parametrize(
    "value", ["http://issuer.example/jwks", "issuer.example", "file:///x", "https://"]
)
def test_keys_of_an_issuer_are_not_fetched_in_clear(value: str) -> None:
    reader = Reader({"URL": value})
    assert reader.optional_https("URL") is None
    assert faults(reader) == ["URL must be an https:// URL"]


@pytest.mark.parametrize("value", ["https://issuer.example/jwks", "http://127.0.0.1:8080/jwks"])
def test_https_and_loopback_are_fine(value: str) -> None:
    assert Reader({"URL": value}).optional_https("URL") == value
