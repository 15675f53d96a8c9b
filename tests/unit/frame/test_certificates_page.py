"""What breaks when the page on certificates promises another intake than the one there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, get_args

import pytest

from services.secrets.certificates import SUPPORTED_TYPES, limits
from services.secrets.certificates.facts.fields import MAX_SERIAL_OCTETS
from services.secrets.certificates.facts.links import MAX_SIGNATURE_CHECKS
from services.secrets.certificates.facts.metadata import (
    MAX_NAMES,
    MAX_NAMES_BYTES,
    MAX_TEXT_BYTES,
    WarningCode,
)
from services.secrets.certificates.facts.path import MAX_PATH_LENGTH
from services.secrets.certificates.refusal import Reason
from services.secrets.certificates.workers.reader import CPU_SECONDS, MEMORY_BYTES, WALL_SECONDS

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "certificates.md"
KIB: Final = 1024
MIB: Final = 1024 * KIB
LIMITS: Final = {
    "`certificate_content`, decoded": f"{limits.MAX_DECODED_BYTES // KIB} KiB",
    "`certificate_content`, as sent": f"{limits.MAX_CONTENT_BYTES // KIB} KiB",
    "`private_key`, as sent": f"{limits.MAX_PRIVATE_KEY_BYTES // KIB} KiB",
    "`passphrase`": f"{limits.MAX_PASSPHRASE_BYTES:,} bytes",
    "certificates in one file": f"{limits.MAX_CERTIFICATES}",
    "certificates in one chain": f"{MAX_PATH_LENGTH}",
    "signatures verified in one file": f"{MAX_SIGNATURE_CHECKS}",
    "private keys in one file": f"{limits.MAX_PRIVATE_KEYS}",
    "size of an RSA private key": f"{limits.MAX_RSA_PRIVATE_BITS:,} bits",
    "size of a DSA private key": f"{limits.MAX_RSA_PRIVATE_BITS:,} bits, and "
    f"{limits.MAX_DSA_SUBGROUP_BITS} of its subgroup (q)",
    "rounds of one key derivation": f"{limits.MAX_KDF_ITERATIONS:,}",
    "memory (128 N r) of one scrypt": f"{limits.MAX_SCRYPT_BYTES // MIB} MiB",
    "parallelization (p) of one scrypt": f"{limits.MAX_SCRYPT_PARALLEL}",
    "processor time for opening all keys of one file": f"{limits.MAX_FILE_NANOSECONDS / 1e9:g} s",
    "processor time for reading one": f"{CPU_SECONDS:g} s",
    "time for reading one": f"{WALL_SECONDS:g} s",
    "memory for reading one": f"{MEMORY_BYTES // MIB} MiB",
    "`subject`, and `issuer`, shown": f"{MAX_TEXT_BYTES // KIB} KiB",
    "`dns_names` and `ip_addresses` shown": f"{MAX_NAMES} in {MAX_NAMES_BYTES // KIB} KiB",
    "`serial_number` shown": f"{MAX_SERIAL_OCTETS} octets",
}


def rows(section: str) -> list[list[str]]:
    """The cells of the only table of a section, without its head."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named(section: str) -> list[str]:
    """What the first column has in backticks."""
    return [name for row in rows(section) for name in re.findall(r"`(\w+)`", row[0])]


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("What is accepted", set(SUPPORTED_TYPES)),
        ("Refusals", set(get_args(Reason))),
        ("Warnings", set(get_args(WarningCode))),
    ],
)
def test_a_table_has_what_the_code_has_once_and_nothing_else(section: str, known: set[str]) -> None:
    assert sorted(named(section)) == sorted(known)


def test_the_limits_are_those_of_the_code() -> None:
    assert dict(rows("Limits")) == LIMITS


def test_no_number_of_the_limits_is_left_out() -> None:
    numbers = {name for name, value in vars(limits).items() if isinstance(value, int)}
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in numbers if f"limits.{name}" not in source] == []


def test_the_figures_in_the_warnings_are_those_of_the_code() -> None:
    said = {row[0].strip("`"): row[1] for row in rows("Warnings")}
    assert f"within {limits.EXPIRES_SOON_DAYS} days" in said["expires_soon"]
    assert f"{limits.MIN_RSA_BITS:,} bits" in said["weak_key"]
    assert f"below {limits.MIN_EC_BITS}" in said["weak_key"]


def test_the_iterations_that_are_said_to_pass_are_within_the_limits() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    (said,) = re.findall(r"openssl pkcs12 -export -iter (\d+)", text)
    assert int(said) <= limits.MAX_KDF_ITERATIONS
    assert f"after the {WALL_SECONDS:g} s" in text


def test_every_cell_says_something() -> None:
    for section in ("What is accepted", "Refusals", "Warnings", "Limits"):
        for row in rows(section):
            assert all(row), row
