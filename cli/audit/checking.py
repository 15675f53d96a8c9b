"""`coffer audit check`: verify an export with no database, no service and no account."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.audit.heads import SignedHead, verify_head
from cli.audit.lines import MAX_LINE, BrokenError, Checked, check_lines
from cli.commands import AsJson, fail, show_json
from cli.exits import Exit
from cli.papers import CannotCheckError, NotGenuineError, load_keys, read

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSIGNED: Final = "NOT checked: the export has no signed head"
_OTHER: Final = "{} has another hash: the chain was made anew before it"


def check(
    *,
    file: Annotated[Path, typer.Argument(help="As `coffer audit export` wrote it.")],
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            help="The platform's public keys, a JWKS, for signed heads: a file, or the URL of"
            " /.well-known/coffer-signing-keys (https, or http on this machine).",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(
            "--head",
            help="A signed head that was kept elsewhere, as `coffer audit head --json` gave it: the export"
            " must have that very event. Needs --keys.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify an exported audit chain offline, and name the first broken link.

    Proven by exit status 0: every event follows from the one before, from the first in the export up to its
    head; with --keys, and without --head, also that the platform signed that head; with --head that the
    events from the first in the export to the kept head are as they were then. NOT proven without --head:
    that nobody made all of it anew; and nothing about events before the first in the export.

    Example: coffer audit check acme-audit.jsonl --keys signing-keys.json --head kept-head.json

    Exit status: 0 it holds, 1 it is broken or not genuine, 2 could not be checked: a file or the keys could
    not be read, the export has no signed head for --keys, or it begins after the kept head.
    """
    try:
        jwks = None if keys is None else load_keys(keys)
        if head is not None and jwks is None:
            raise CannotCheckError("--head needs --keys: the head is worth what its signature is")
        kept = verify_head(read(head), jwks) if head is not None and jwks is not None else None
        found = check_lines(_lines(file), wanted=() if kept is None else (kept.head.seq,))
        signed = None
        if found.signed_head is not None and jwks is not None:
            signed = verify_head(found.signed_head, jwks)
            _compare_end(found, signed)
        if kept is not None:
            _compare_kept(found, kept)
    except BrokenError as error:
        _fail_broken(error, as_json=as_json)
    except NotGenuineError as error:
        fail(f"NOT genuine: {error}", Exit.FAILED)
    except CannotCheckError as error:
        fail(f"could not be checked: {error}", Exit.USAGE)
    if jwks is not None and signed is None and kept is None:
        fail(f"{_UNSIGNED}: --keys has nothing to look at", Exit.USAGE)
    _show(found, signed, kept, as_json=as_json)


def _compare_end(found: Checked, signed: SignedHead) -> None:
    """The signed head in the export must be its head. Raises as `check` catches."""
    what = "the signed head in the export"
    _same_tenant(found, signed, what)
    if signed.head.seq != found.head.seq:
        first = min(signed.head.seq, found.head.seq) + 1
        raise BrokenError(
            first, f"{what} is event {signed.head.seq}, and its end is event {found.head.seq}"
        )
    if signed.head.hash != found.head.hash:
        raise BrokenError(found.head.seq, _OTHER.format(what))


def _compare_kept(found: Checked, kept: SignedHead) -> None:
    """The export must have the event that was kept. Raises as `check` catches."""
    what, seq = "the kept head", kept.head.seq
    _same_tenant(found, kept, what)
    if seq > found.head.seq:
        raise BrokenError(found.head.seq + 1, f"{what} is event {seq}, which is not there")
    if seq not in found.seen:
        raise CannotCheckError(f"{what} is event {seq}, and the export begins after it")
    if found.seen[seq] != kept.head.hash:
        raise BrokenError(seq, _OTHER.format(what))


def _same_tenant(found: Checked, signed: SignedHead, what: str) -> None:
    if signed.tenant_id != found.tenant_id:
        raise NotGenuineError(f"{what} is of another tenant")


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            while line := opened.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise CannotCheckError(f"{file} is no export: a line has more than 1 MiB")
                yield line
    except OSError as error:
        raise CannotCheckError(f"{file} cannot be read ({type(error).__name__})") from None


def _fail_broken(error: BrokenError, *, as_json: bool) -> None:
    if as_json:
        show_json({"ok": False, "first_broken": error.seq, "why": str(error)})
    fail(f"the chain is BROKEN at event {error.seq}: {error}", Exit.FAILED)


def _show(
    found: Checked, signed: SignedHead | None, kept: SignedHead | None, *, as_json: bool
) -> None:
    if as_json:
        show_json(
            {
                "ok": True,
                "tenant_id": found.tenant_id,
                "from": found.first,
                "events": found.events,
                "head": {"seq": found.head.seq, "hash": found.head.hash.hex()},
                "signed_head_checked": signed is not None,
                "kept_head_checked": kept is not None,
            }
        )
        return
    typer.echo(f"the chain holds: {found.events} events, from {found.first} to {found.head.seq}")
    typer.echo(f"head  {found.head.hash.hex()}")
    if signed is not None:
        typer.echo(f"the platform signed this head at {signed.signed_at}")
    elif found.signed_head is not None:
        typer.echo("NOT checked: the signed head in the export (--keys)")
    elif kept is not None:
        typer.echo(_UNSIGNED)
    if kept is not None:
        typer.echo(
            f"events {found.first} to {kept.head.seq} are as they were when the head was kept"
        )
    if found.first > 1:
        typer.echo(f"NOT checked: the events before {found.first}, which are not in the export")
