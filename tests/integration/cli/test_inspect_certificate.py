"""What breaks when a person looks at the certificate files that somebody sent."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from cli.exits import Exit
from tests.fakes.certificates import Chain, issue, name
from tests.integration.cli.certificates import PASSPHRASE

if TYPE_CHECKING:
    from tests.fixtures.command_line import Coffer


def test_a_certificate_comes_from_standard_input_too(storing: Coffer, made: Chain) -> None:
    told = storing.json("secrets", "inspect", "-", stdin=made.leaf.pem)
    assert told["metadata"]["subject"] == "CN=example.com, O=Example Inc, C=US"


def test_inspecting_needs_no_stack_and_shows_what_would_be_stored(
    coffer: Coffer, made: Chain
) -> None:
    coffer.environ.clear()
    told = coffer.json("secrets", "inspect", "leaf.pem", "ca.pem", "root.pem", "--key",
                       "locked.pem", "--passphrase-file", "pass")  # fmt: skip
    assert told["certificate_type"] == "pem"
    assert told["metadata"]["has_private_key"] is True
    assert told["metadata"]["has_passphrase"] is True
    assert told["metadata"]["warnings"] == []
    assert [(link["number"], link["kind"]) for link in told["chain"]] == [
        (1, "leaf"), (2, "intermediate"), (3, "root"),
    ]  # fmt: skip
    assert told["chain"][0]["issuer"] == told["chain"][1]["subject"]


@pytest.mark.parametrize(
    ("file", "options", "kind", "links"),
    [
        ("leaf.der", ("--key", "key.der"), "crt", 1),
        ("all.p7b", ("--key", "key.pem"), "pkcs7", 3),
        ("all.pfx", ("--passphrase-file", "pass"), "pfx", 3),
        ("key.der", (), "key", 0),
        ("locked.pem", ("--passphrase-file", "pass"), "key", 0),
    ],
)
def test_files_of_every_kind_are_taken_as_they_are(
    coffer: Coffer, made: Chain, file: str, options: tuple[str, ...], kind: str, links: int
) -> None:
    issuers = [made.intermediate.certificate, made.root.certificate]
    everything = [made.leaf.certificate, *issuers]
    Path("all.p7b").write_bytes(pkcs7.serialize_certificates(everything, Encoding.DER))
    Path("all.pfx").write_bytes(
        pkcs12.serialize_key_and_certificates(
            None,
            made.leaf.key,
            everything[0],
            issuers,
            BestAvailableEncryption(PASSPHRASE.encode()),
        )
    )
    told = coffer.json("secrets", "inspect", file, *options)
    assert told["certificate_type"] == kind
    assert told["metadata"]["has_private_key"] is True
    assert told["metadata"]["key_algorithm"] == "EC"
    assert [link["kind"] for link in told["chain"]] == ["leaf", "intermediate", "root"][:links]
    shown = coffer("secrets", "inspect", file, *options).stdout.split()
    assert shown[shown.index("certificates") + 1] == str(links)


def test_people_see_chain_and_warnings_as_tables(coffer: Coffer, made: Chain) -> None:
    shown = coffer("secrets", "inspect", "ca.pem", "leaf.pem").stdout
    for text in (
        "CN=example.com, O=Example Inc, C=US", "names          example.com",
        "key            EC, 256 bits", "private key    no",
    ):  # fmt: skip
        assert text in shown
    assert "chain_out_of_order" in shown


def test_certificates_outside_the_chain_are_counted(coffer: Coffer, made: Chain) -> None:
    Path("stray.pem").write_text(issue("stray.example").pem)
    shown = coffer("secrets", "inspect", "leaf.pem", "ca.pem", "stray.pem", "--key", "key.pem")
    assert "3, of which 2 in the chain" in shown.stdout


@pytest.mark.parametrize(
    ("options", "reason", "says"),
    [
        (("--key", "other.pem"), "key_mismatch", "private_key comes from other.pem"),
        (("--key", "locked.pem"), "passphrase_required", "passphrase was not given: use --pass"),
        (
            ("--key", "locked.pem", "--passphrase-file", "ca.pem"),
            "wrong_passphrase",
            "passphrase comes from ca.pem",
        ),
        (("--key", "ca.pem"), "invalid_private_key", "private_key comes from ca.pem"),
    ],
)
def test_what_would_be_refused_is_refused_here_with_the_same_reason(
    coffer: Coffer, made: Chain, options: tuple[str, ...], reason: str, says: str
) -> None:
    result = coffer("secrets", "inspect", "leaf.pem", *options)
    assert result.exit_code == Exit.REFUSED
    assert f"reason: {reason}" in result.stderr
    assert says in result.stderr
    assert result.stdout == ""


def test_names_cannot_rearrange_the_terminal(coffer: Coffer, made: Chain) -> None:
    turned = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "exe\u202emoc.elpmaxe")])
    Path("turned.pem").write_text(issue(turned).pem)
    shown = coffer("secrets", "inspect", "turned.pem").stdout
    assert "\u202e" not in shown
    assert "\\u202e" in shown


def test_an_expired_certificate_is_called_expired(coffer: Coffer, made: Chain) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = issue(name("old.example"), not_before=yesterday - timedelta(days=9), not_after=yesterday)
    Path("old.pem").write_text(old.pem)
    assert "Z (expired)" in coffer("secrets", "inspect", "old.pem").stdout


def test_a_passphrase_is_asked_for_on_the_terminal_and_not_shown(made: Chain) -> None:
    """With the program as it is installed: a terminal is nothing that can be played."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "cli", "secrets", "inspect", "leaf.pem",
               "--key", "locked.pem", "--passphrase-prompt", "--json"]  # fmt: skip
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
        ) as process:
            seen = b""
            while b"Passphrase: " not in seen:
                seen += os.read(ours, 1024)
            os.write(ours, f"{PASSPHRASE}\n".encode())
            output, _ = process.communicate(timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert process.returncode == 0
    assert json.loads(output)["metadata"]["has_passphrase"] is True
