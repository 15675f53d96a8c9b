"""From the files a person has to the fields of `POST /v1/secrets/certificate`.

A passphrase is never an argument: arguments are in the shell's history and in the list of processes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.commands import fail
from cli.exits import Exit
from cli.stored.calls import STDIN
from cli.stored.files import ask_passphrase, fail_too_large, read, read_passphrase, shown
from services.secrets.certificates import SUPPORTED_TYPES
from services.secrets.certificates.guess import as_content, as_pem, describe, guess_type
from services.secrets.certificates.limits import MAX_CONTENT_BYTES, MAX_PRIVATE_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_JOINED: Final = frozenset({"pem", "crt", "cer"})
"""Types whose content may be several certificates in PEM."""

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="PEM, DER, PKCS#7 or PKCS#12, also base64 of it; - is standard input. Several files, each "
        "with certificates in PEM or DER, are joined in the given order: the leaf first.",
        show_default=False,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", "--key-file", help="The private key, if it is not in FILE: PEM or DER."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(help="File with the passphrase of the key or the PFX; its last line end is cut."),
]
PassphrasePrompt = Annotated[
    bool,
    typer.Option("--passphrase-prompt", help="Ask for the passphrase on the terminal, unseen."),
]
CertificateType = Annotated[
    str | None,
    typer.Option(
        "--type",
        "--certificate-type",
        metavar="TYPE",
        help=f"What FILE is: {', '.join(sorted(SUPPORTED_TYPES))}. Default: guessed from its content, "
        "never from its name.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Given:
    """The fields to send. `origins` completes "<field> ..." with where the field comes from."""

    certificate_type: str
    content: str = field(repr=False)
    private_key: str | None = field(repr=False)
    passphrase: str | None = field(repr=False)
    origins: Mapping[str, str]

    def fields(self) -> dict[str, str]:
        """The members of a body."""
        members = {
            "certificate_content": self.content,
            "certificate_type": self.certificate_type,
            "private_key": self.private_key,
            "passphrase": self.passphrase,
        }
        return {name: value for name, value in members.items() if value is not None}


def gather(
    files: Sequence[Path],
    key: Path | None,
    passphrase_file: Path | None,
    certificate_type: str | None,
    *,
    ask: bool,
) -> Given:
    """Read the files, then ask for the passphrase if that was wanted.

    Leaves with a sentence on standard error and Exit.FAILED when a file cannot be used; raises
    typer.BadParameter for options that contradict each other.
    """
    _refuse_type(certificate_type, len(files))
    _refuse_contradictions([*files, key, passphrase_file], passphrase_file, ask=ask)
    named = [(shown(file), read(file, MAX_CONTENT_BYTES)) for file in files]
    kind, content, origin = (_alone if len(named) == 1 else _joined)(named, certificate_type)
    if len(content.encode()) > MAX_CONTENT_BYTES:
        fail_too_large(origin, MAX_CONTENT_BYTES)
    origins = {
        "certificate_content": f"comes from {origin}",
        "certificate_type": "comes from --type" if certificate_type else f"was guessed: {kind}",
    }
    private_key = None
    if key is not None:
        private_key = as_content(read(key, MAX_PRIVATE_KEY_BYTES))
        origins["private_key"] = f"comes from {shown(key)}"
    passphrase, origins["passphrase"] = _passphrase(passphrase_file, ask=ask)
    return Given(kind, content, private_key, passphrase, origins)


def _refuse_type(certificate_type: str | None, files: int) -> None:
    if certificate_type is None:
        return
    if certificate_type not in SUPPORTED_TYPES:
        message = f"{certificate_type} is none of {', '.join(sorted(SUPPORTED_TYPES))}"
        raise typer.BadParameter(message, param_hint="--type")
    if files > 1 and certificate_type not in _JOINED:
        message = f"content of the type {certificate_type} is one file; {files} were given"
        raise typer.BadParameter(message, param_hint="--type")


def _refuse_contradictions(
    inputs: Sequence[Path | None], passphrase_file: Path | None, *, ask: bool
) -> None:
    if passphrase_file is not None and ask:
        raise typer.BadParameter(
            "the passphrase comes from a file or from the prompt, not from both",
            param_hint="--passphrase-file, --passphrase-prompt",
        )
    if inputs.count(STDIN) + ask > 1:
        raise typer.BadParameter("standard input (-) serves one thing only")


def _alone(named: Sequence[tuple[str, bytes]], declared: str | None) -> tuple[str, str, str]:
    """Type, content and origin of the only file, which is sent as it is."""
    name, data = named[0]
    kind = declared or guess_type(data)
    if kind is None:
        fail(f"{_unknown(name, data)}. With --type it is read as what you say it is", Exit.FAILED)
    return kind, as_content(data), name


def _joined(named: Sequence[tuple[str, bytes]], declared: str | None) -> tuple[str, str, str]:
    """The same for several files, whose certificates become one PEM text."""
    text = ""
    origins = []
    for name, data in named:
        part = as_pem(data)
        if part is None:
            fail(_not_joined(name, data, len(named)), Exit.FAILED)
        origins.append(f"{name} (from line {len(_LINE_END.findall(text)) + 1})")
        text += part
    return declared or "pem", text, ", ".join(origins)


def _not_joined(name: str, data: bytes, number: int) -> str:
    found = guess_type(data)
    if found is None:
        return _unknown(name, data)
    if found == "key":
        return f"{name} holds a private key and no certificate: give it with --key"
    kind = "PKCS#7" if found == "pkcs7" else "PKCS#12"
    return (
        f"{name} is {kind}, which must be the only FILE ({number} were given): it brings its chain "
        "along. Only files with certificates in PEM or DER are joined"
    )


def _unknown(name: str, data: bytes) -> str:
    return f"{name} holds no certificate that can be read: it looks like {describe(data)}"


def _passphrase(file: Path | None, *, ask: bool) -> tuple[str | None, str]:
    """The passphrase, asked for last of all, and where it comes from."""
    if file is not None:
        return read_passphrase(file), f"comes from {shown(file)}"
    if ask:
        return ask_passphrase(), "was typed"
    return None, "was not given: use --passphrase-file or --passphrase-prompt"
