"""Signed statements that a customer keeps: receipts of erasure, reports of rewraps. Read, verified and shown.

Formats: protos/coffer/kms/v1/kms.proto; JSON with `statement` and `jws`, or the JWS alone (`cli.papers`).
This knows nothing of the services: whoever holds a paper can check it long after they are gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - Typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import fail, show_facts, show_json
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
    from collections.abc import Callable, Iterable, Mapping

    Facts = Callable[[dict[str, Any]], Iterable[tuple[str, object]]]

Keys = Annotated[
    str,
    typer.Option(
        "--keys",
        help="The platform's public keys, a JWKS: a file, or the URL of"
        " /.well-known/coffer-signing-keys (https, or http on this machine).",
    ),
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of paper. `word` is its name, and the member that holds it in an answer; `decimals` are the
    members that are no whole numbers, which JSON may write as 5 or 5.0.
    """

    type: str
    format: str
    word: str
    name: str
    decimals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Genuine:
    """A paper that holds: which key signed it, and what it says."""

    kid: str
    statement: dict[str, Any]


def verify(paper: str, keys: Mapping[str, Any], kind: Kind) -> Genuine:
    """Check a paper with a JWKS: JSON with `jws` and `statement`, the answer that holds it, or a JWS alone.

    Does no I/O. Raises NotGenuineError, CannotCheckError.
    """
    jws, shown = _parts(paper, kind.word)
    kid, signed = verify_jws(jws, keys, kind.type, kind.name)
    if signed.get("format") != kind.format:
        raise CannotCheckError(f"the {kind.word} is of a form that this release does not know")
    if shown is not None and _written(shown, kind) != _written(signed, kind):
        raise NotGenuineError("the readable statement is not the one that was signed")
    return Genuine(kid, signed)


def check(file: Path, keys: str, kind: Kind, facts: Facts, *, as_json: bool) -> None:
    """Verify the paper in a file, say so, and show it; or leave with what is wrong."""
    try:
        found = verify(read(file), load_keys(keys), kind)
    except NotGenuineError as error:
        fail(f"NOT genuine: {error}", Exit.FAILED)
    except CannotCheckError as error:
        fail(f"could not be checked: {error}", Exit.USAGE)
    if as_json:
        show_json({"genuine": True, "kid": found.kid, "statement": found.statement})
        return
    typer.echo(f"genuine: signed with the key {found.kid}\n")
    show_statement(found.statement, facts)


def as_they_are(statement: dict[str, Any]) -> Iterable[tuple[str, object]]:
    """The members of a statement for a person."""
    return ((name.replace("_", " "), value) for name, value in statement.items())


def show_statement(statement: dict[str, Any], facts: Facts = as_they_are) -> None:
    """Print a statement for a person."""
    rest = dict(statement)
    lists = {
        "covers": rest.pop("covers", None),
        "does not cover": rest.pop("does_not_cover", None),
    }
    show_facts(facts(rest))
    for title, sentences in lists.items():
        typer.echo(f"\n{title}:")
        for sentence in sentences or ():
            typer.echo(f"  - {sentence}")


def keep(file: Path | None, paper: dict[str, Any]) -> None:
    """Write a paper where it was asked for. Raises OSError."""
    if file is not None:
        file.write_text(json.dumps(paper, indent=2) + "\n", encoding="utf-8")


def _written(statement: dict[str, Any], kind: Kind) -> str:
    whole = {
        name: float(statement[name])
        for name in kind.decimals
        if type(statement.get(name)) in {int, float}
    }
    return canonical(statement | whole)


def _parts(paper: str, word: str) -> tuple[str, dict[str, Any] | None]:
    """The JWS, and the statement beside it where there is one."""
    text = paper.strip()
    if not text.startswith("{"):
        return text, None
    document = parse(text)
    inner = document.get(word, document)
    if not isinstance(inner, dict) or not isinstance(inner.get("jws"), str):
        raise CannotCheckError(f"the file holds no {word}: a member `jws` is missing")
    shown = inner.get("statement")
    if not isinstance(shown, dict):
        raise CannotCheckError(f"the file holds no {word}: a member `statement` is missing")
    return inner["jws"], shown
