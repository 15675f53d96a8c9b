"""What breaks when files or options of a command about certificates cannot be used as they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.exits import Exit
from tests.integration.cli.certificates import body_of

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer


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
