"""What breaks when a person stores, or looks at, the certificate files that somebody sent."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from cli.exits import Exit
from tests.fakes.certificates import Chain, Issued, chain, issue, key_pem, name
from tests.fakes.cli_gateway import refusal

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.integration.cli.conftest import Coffer

PASSPHRASE = "schlüssel 1"
POST = "POST /v1/secrets/certificate"
METADATA: dict[str, Any] = {
    "subject": "CN=example.com",
    "issuer": "CN=CA",
    "expires_at": "2030-01-01T00:00:00.000Z",
    "has_private_key": True,
    "has_passphrase": False,
    "not_before": "2026-01-01T00:00:00.000Z",
    "serial_number": "0a",
    "sha256_fingerprint": "ff",
    "dns_names": ["example.com"],
    "ip_addresses": [],
    "key_algorithm": "EC",
    "key_size": 256,
    "signature_algorithm": "ecdsa-with-SHA256",
    "is_ca": False,
    "chain_length": 1,
    "warnings": [{"code": "incomplete_chain", "message": "An issuer is missing."}],
}
ROW: dict[str, Any] = {
    "id": "1ce4e937-592c-4bcd-a78c-0b4999a25f0b",
    "name": "TLS",
    "secret_type": "certificate",
    "certificate_type": "pem",
    "base_environment": "production",
    "collection_id": None,
    "metadata": METADATA,
}


@pytest.fixture
def made(surroundings: None, tmp_path: Path) -> Chain:
    """A chain in files of the working folder: PEM, DER, and the leaf's key in four shapes."""
    made = chain()
    for label, issued in (("leaf", made.leaf), ("ca", made.intermediate), ("root", made.root)):
        (tmp_path / f"{label}.pem").write_text(issued.pem)
        (tmp_path / f"{label}.der").write_bytes(issued.der)
    (tmp_path / "key.pem").write_text(made.leaf.key_pem)
    (tmp_path / "key.der").write_bytes(key_der(made.leaf))
    (tmp_path / "locked.pem").write_text(key_pem(made.leaf.key, PASSPHRASE))
    (tmp_path / "other.pem").write_text(issue().key_pem)
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    return made


@pytest.fixture
def storing(coffer: Coffer, gateway: Gateway, made: Chain) -> Coffer:
    """With a gateway that stores everything."""
    gateway.answers[POST] = (201, {"data": ROW})
    return coffer


def key_der(issued: Issued) -> bytes:
    return issued.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def body_of(gateway: Gateway) -> dict[str, Any]:
    (body,) = gateway.bodies
    assert body is not None
    return body


def test_a_file_is_sent_as_it_is_under_the_type_that_its_content_has(
    storing: Coffer, gateway: Gateway, made: Chain
) -> None:
    storing.json("secrets", "import-certificate", "TLS", "leaf.pem", "--key", "locked.pem",
                 "--passphrase-file", "pass")  # fmt: skip
    assert body_of(gateway) == {
        "name": "TLS",
        "certificate_type": "pem",
        "certificate_content": made.leaf.pem,
        "private_key": Path("locked.pem").read_text(),
        "passphrase": PASSPHRASE,
    }


def test_binary_files_are_sent_as_base64(storing: Coffer, gateway: Gateway, made: Chain) -> None:
    storing.json("secrets", "import-certificate", "TLS", "leaf.der", "--key", "key.der")
    body = body_of(gateway)
    assert body["certificate_type"] == "crt"
    assert base64.b64decode(body["certificate_content"]) == made.leaf.der
    assert base64.b64decode(body["private_key"]) == key_der(made.leaf)


def test_several_files_become_one_chain_in_the_given_order(
    storing: Coffer, gateway: Gateway, made: Chain
) -> None:
    Path("leaf.pem").write_text(made.leaf.pem.rstrip())  # no line end at the end
    storing.json("secrets", "import-certificate", "TLS", "leaf.pem", "ca.der", "root.pem")
    body = body_of(gateway)
    assert body["certificate_type"] == "pem"
    sent = x509.load_pem_x509_certificates(body["certificate_content"].encode())
    assert sent == [one.certificate for one in (made.leaf, made.intermediate, made.root)]


def test_what_is_said_about_the_secret_is_sent_too(storing: Coffer, gateway: Gateway) -> None:
    storing.json(
        "secrets", "import-certificate", "TLS", "leaf.pem", "--type", "pem",
        "--description", "d", "--environment", "e", "--collection", "c",
        "--expires-at", "2030-01-01T00:00:00Z", "--strict-expiry",
    )  # fmt: skip
    body = body_of(gateway)
    del body["certificate_content"]
    assert body == {
        "name": "TLS",
        "certificate_type": "pem",
        "description": "d",
        "environment": "e",
        "collection_id": "c",
        "expires_at": "2030-01-01T00:00:00Z",
        "strict_expiry_enforcement": True,
    }


def test_a_declared_type_overrides_what_the_file_looks_like(
    storing: Coffer, gateway: Gateway
) -> None:
    Path("odd").write_text("nothing anybody knows")
    assert storing("secrets", "import-certificate", "TLS", "odd").exit_code == Exit.FAILED
    assert gateway.requests == []
    storing.json("secrets", "import-certificate", "TLS", "odd", "--type", "pem")
    assert body_of(gateway)["certificate_content"] == "nothing anybody knows"


def test_what_was_stored_is_shown_with_its_chain_and_its_warnings(storing: Coffer) -> None:
    shown = storing("secrets", "import-certificate", "TLS", "leaf.pem", "ca.pem").stdout
    for text in (
        "TLS stored in production", ROW["id"], "CN=example.com", "2030-01-01", "incomplete_chain",
        "An issuer is missing.", "intermediate", "CN=Test Intermediate, O=Example Inc, C=US",
    ):  # fmt: skip
        assert text in shown


def test_scripts_get_the_answer_of_the_api_and_nothing_else(storing: Coffer) -> None:
    assert storing.json("secrets", "import-certificate", "TLS", "leaf.pem") == ROW


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("private_key", "private_key comes from key.pem"),
        ("passphrase", "passphrase was not given: use --passphrase-file or --passphrase-prompt"),
        ("certificate_type", "certificate_type was guessed: pem"),
    ],
)
def test_a_refusal_tells_the_reason_and_the_file(
    storing: Coffer, gateway: Gateway, field: str, says: str
) -> None:
    told = refusal("validation_error", "m", fields={field: ["Wrong."]}, reason="key_mismatch")
    gateway.answers[POST] = (400, told)
    result = storing("secrets", "import-certificate", "TLS", "leaf.pem", "--key", "key.pem")
    assert result.exit_code == Exit.REFUSED
    for text in (f"{field}: Wrong.", says, "reason: key_mismatch", "request_id: r-1"):
        assert text in result.stderr


def test_a_refusal_of_joined_files_tells_where_each_begins(
    storing: Coffer, gateway: Gateway, made: Chain
) -> None:
    told = refusal("validation_error", "m", fields={"certificate_content": ["Line 20 is bad."]})
    gateway.answers[POST] = (400, told)
    result = storing("secrets", "import-certificate", "TLS", "leaf.pem", "ca.pem")
    second = made.leaf.pem.count("\n") + 1
    assert f"comes from leaf.pem (from line 1), ca.pem (from line {second})" in result.stderr


def test_a_refusal_that_is_not_about_a_file_is_told_as_ever(
    storing: Coffer, gateway: Gateway
) -> None:
    gateway.answers[POST] = (409, refusal("conflict", "There is a secret of that name."))
    result = storing("secrets", "import-certificate", "TLS", "leaf.pem")
    assert result.exit_code == Exit.REFUSED
    assert "There is a secret of that name. (conflict)" in result.stderr


@pytest.mark.parametrize("command", [("import-certificate", "TLS"), ("inspect",)])
@pytest.mark.parametrize(
    ("files", "says"),
    [
        (("missing.pem",), "missing.pem: there is no such file"),
        ((".",), ". is a directory: name the files in it"),
        (("empty",), "empty is empty"),
        (("large",), "large is too large: at most 720 KiB are accepted"),
        (("many", "many", "many"), "is too large: at most 720 KiB are accepted"),
        (("leaf.pem", "--key", "missing"), "missing: there is no such file"),
        (("leaf.pem", "--key", "large"), "large is too large: at most 64 KiB are accepted"),
        (("leaf.pem", "--passphrase-file", "large"), "large is too large: at most"),
        (("leaf.pem", "--passphrase-file", "binary"), "binary is not UTF-8 text"),
        (("binary",), "binary holds no certificate that can be read: it looks like"),
        (("leaf.pem", "binary"), "binary holds no certificate that can be read: it looks like"),
        (("leaf.pem", "key.pem"), "key.pem holds a private key and no certificate: give it with"),
        (("p7b", "ca.pem"), "p7b is PKCS#7, which must be the only FILE (2 were given)"),
        (("leaf.pem", "--passphrase-prompt"), "there is no terminal to ask on"),
    ],
)
def test_what_cannot_be_used_is_named_and_not_sent(
    storing: Coffer, gateway: Gateway, command: tuple[str, ...], files: tuple[str, ...], says: str
) -> None:
    Path("empty").touch()
    Path("large").write_bytes(b"x" * 800_000)
    Path("many").write_text(Path("leaf.pem").read_text() * 600)
    Path("binary").write_bytes(b"\0\xff\xfe\0")
    Path("p7b").write_text("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n")
    result = storing("secrets", *command, *files)
    assert result.exit_code == Exit.FAILED
    assert says in result.stderr
    assert gateway.requests == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_somebody_else_is_named(storing: Coffer) -> None:
    Path("leaf.pem").chmod(0)
    result = storing("secrets", "inspect", "leaf.pem")
    assert result.exit_code == Exit.FAILED
    assert "leaf.pem cannot be read: Permission denied" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("leaf.pem", "--passphrase-file", "pass", "--passphrase-prompt"),
        ("-", "--key", "-"),
        ("-", "--passphrase-prompt"),
        ("leaf.pem", "--type", "jks"),
        (),
    ],
)
def test_contradicting_options_are_a_wrong_command_line(
    storing: Coffer, options: tuple[str, ...]
) -> None:
    assert storing("secrets", "inspect", *options, stdin="").exit_code == Exit.USAGE


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_one_line_end_of_a_passphrase_file_is_cut_and_no_blank(
    storing: Coffer, gateway: Gateway, ending: bytes
) -> None:
    Path("pass").write_bytes(b"\xef\xbb\xbf two blanks  " + ending)
    storing.json("secrets", "import-certificate", "TLS", "leaf.pem", "--passphrase-file", "pass")
    assert body_of(gateway)["passphrase"] == " two blanks  "


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
