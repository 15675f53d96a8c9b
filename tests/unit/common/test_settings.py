"""What an operator is told when settings are wrong, and what never shows."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from services.common.database_urls import database_url
from services.common.rpc.server import log_level
from services.common.settings import (
    Address,
    NoAuthorityError,
    Reader,
    SettingsError,
    authorities,
)

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


@pytest.mark.parametrize("content", ["", "\n", "\r\n"])
def test_a_file_that_holds_nothing_is_no_secret(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    reader = Reader({"KEY_FILE": str(file), "KEY": "not this one either"})
    assert reader.secret("KEY") == ""
    assert faults(reader) == ["KEY_FILE names an empty file"]


def test_an_empty_file_says_that_there_is_no_secret_where_none_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch()
    reader = Reader({"KEY_FILE": str(file)})
    assert reader.optional_secret("KEY") is None
    reader.finish()


@pytest.mark.parametrize("value", ["canary\u00b2", "\u00b2", "9" * 5000, "canary" * 999])
def test_what_looks_like_a_number_to_python_is_told_like_any_other_fault(value: str) -> None:
    reader = Reader(
        {"NUMBER": value, "ADDRESS": f"canary:{value}", "FILE": value, "URL": "https://["}
    )
    reader.integer("NUMBER", 1, minimum=1, maximum=9)
    reader.address("ADDRESS")
    reader.path("FILE")
    reader.optional_https("URL")
    told = faults(reader)
    assert [line.split()[0] for line in told] == ["NUMBER", "ADDRESS", "FILE", "URL"]
    assert "canary" not in "\n".join(told)


@pytest.mark.parametrize(
    "value",
    [
        "canary",
        "postgresql://me:canary@db.example/coffer",
        "postgresql://me:can%zzary@/coffer",
        "postgresql://me:canary@[::1/coffer",
        "postgresql://me:x@canary@db.example/coffer?sslmode=require",
    ],
)
def test_a_bad_database_url_is_a_fault_that_shows_nothing_of_it(value: str) -> None:
    reader = Reader({"URL": value})
    database_url(reader, "URL")
    told = faults(reader)
    assert [line.split()[0] for line in told] == ["URL"]
    assert "canary" not in "\n".join(told)


@pytest.mark.parametrize("level", ["verbose", "notset", "10"])
def test_a_level_of_logging_that_does_not_exist_is_told_with_those_that_do(level: str) -> None:
    reader = Reader({"COFFER_LOG_LEVEL": level})
    assert log_level(reader) == "info"
    assert faults(reader) == ["COFFER_LOG_LEVEL must be one of debug, info, warning, error"]
    assert log_level(Reader({"COFFER_LOG_LEVEL": "WARNING"})) == "warning"


@pytest.mark.parametrize(
    "content", ["", "\n", "no certificate", "-----BEGIN CERTIFICATE-----\nMII"]
)
def test_a_ca_file_without_a_certificate_is_not_taken_for_everybodys_cas(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(content)
    with pytest.raises(NoAuthorityError, match=r"ca\.crt holds no CA certificate"):
        authorities(file)
