"""`coffer kms check-receipt`: verify a receipt of erasure, with the platform's public keys and nothing else.

Formats: protos/coffer/kms/v1/kms.proto, `RevocationReceipt`; JWS Compact Serialization (RFC 7515) with EdDSA
over Ed25519 (RFC 8037); keys as a JWKS (RFC 7517), named by their thumbprints (RFC 7638). This knows
nothing of the services: whoever holds a receipt can check it long after they are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - Typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.commands import AsJson, fail, show_facts, show_json
from cli.exits import Exit
from cli.papers import (
    CannotCheckError,
    NotGenuineError,
    canonical,
    load_keys,
    parse,
    read,
    verify_jws,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CannotCheckError", "Genuine", "NotGenuineError", "check_receipt", "verify"]

TYPE: Final = "coffer-revocation-receipt"
FORMAT: Final = "coffer/revocation-receipt/1"


@dataclass(frozen=True, slots=True)
class Genuine:
    """A receipt that holds: which key signed it, and what it says."""

    kid: str
    statement: dict[str, Any]


def check_receipt(
    file: Annotated[
        Path, typer.Argument(help="The receipt: JSON as the API gave it, or the JWS alone.")
    ],
    *,
    keys: Annotated[
        str,
        typer.Option(
            "--keys",
            help="The platform's public keys, a JWKS: a file, or the URL of"
            " /.well-known/coffer-signing-keys (https, or http on this machine).",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Verify the signed receipt of an erased master-key version. Needs no account and no running stack.

    Proven by exit status 0: the holder of one of the given keys signed exactly this statement as a receipt
    of erasure, and nothing in it was changed since. NOT proven: that the statement is true, that the
    given keys are the platform's (keep a copy of the JWKS from before, or compare it with one you got
    another way), and whatever the receipt itself lists under "does not cover".

    Example: coffer kms check-receipt receipt-1.json --keys signing-keys.json

    Exit status: 0 genuine, 1 not genuine, 2 could not be checked: a file or the keys could not be read.
    """
    try:
        found = verify(read(file), load_keys(keys))
    except NotGenuineError as error:
        fail(f"NOT genuine: {error}", Exit.FAILED)
    except CannotCheckError as error:
        fail(f"could not be checked: {error}", Exit.USAGE)
    if as_json:
        show_json({"genuine": True, "kid": found.kid, "statement": found.statement})
    else:
        _show(found)


def verify(receipt: str, keys: Mapping[str, Any]) -> Genuine:
    """Check a receipt with a JWKS: JSON with `jws` and `statement`, the answer that holds it, or a JWS alone.

    Does no I/O. Raises NotGenuineError, CannotCheckError.
    """
    jws, shown = _parts(receipt)
    kid, signed = verify_jws(jws, keys, TYPE, "a receipt of erasure")
    if signed.get("format") != FORMAT:
        raise CannotCheckError("the receipt is of a form that this release does not know")
    if shown is not None and canonical(shown) != canonical(signed):
        raise NotGenuineError("the readable statement is not the one that was signed")
    return Genuine(kid, signed)


def _parts(receipt: str) -> tuple[str, dict[str, Any] | None]:
    """The JWS, and the statement beside it where there is one."""
    text = receipt.strip()
    if not text.startswith("{"):
        return text, None
    document = parse(text)
    inner = document.get("receipt", document)
    if not isinstance(inner, dict) or not isinstance(inner.get("jws"), str):
        raise CannotCheckError("the file holds no receipt: a member `jws` is missing")
    shown = inner.get("statement")
    if not isinstance(shown, dict):
        raise CannotCheckError("the file holds no receipt: a member `statement` is missing")
    return inner["jws"], shown


def _show(found: Genuine) -> None:
    statement = dict(found.statement)
    lists = {
        "covers": statement.pop("covers", None),
        "does not cover": statement.pop("does_not_cover", None),
    }
    typer.echo(f"genuine: signed with the key {found.kid}\n")
    show_facts((name.replace("_", " "), value) for name, value in statement.items())
    for title, sentences in lists.items():
        typer.echo(f"\n{title}:")
        for sentence in sentences or ():
            typer.echo(f"  - {sentence}")
