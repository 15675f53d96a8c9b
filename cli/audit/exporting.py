"""`coffer audit export`: the chain for somebody who trusts nobody here."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audit.chain import From, open_chain, watched
from cli.audit.heads import SignedHead, sign_head
from cli.audit.lines import event_line, head_line
from cli.commands import DataDir, OfTenant, exit_codes, fail
from cli.connection import Stack
from cli.exits import Exit
from cli.local.files import private_stream
from cli.tenancy import TenancyError
from services.common.audit_chain import GENESIS, ChainWalk, Ends, Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.audit.chain import Chain


def export(
    *,
    tenant: OfTenant,
    from_: From = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: standard output.", show_default=False)
    ] = None,
    signed_head: Annotated[
        bool,
        typer.Option(
            "--signed-head",
            help="Have kms sign the head, export up to it, and put it into the end.",
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Export a tenant's audit events as JSON Lines, so that an outsider can verify them offline.

    A line for each event with everything that its hash is made of, and the head as the last line; `coffer
    audit check` verifies such a file with no database, and docs/audit.md says how to do it without us. The
    file is complete or absent, and private (0600). A chain that is broken is exported all the same.

    Example: coffer audit export --tenant acme --out acme-audit.jsonl

    Exit status: 0 exported, 1 exported but the chain is broken, or the file could not be written, 3 no
    database or kms, 4 no such tenant, or --from beyond the end.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        tenant_id = stack.tenant_id(tenant)
        signed = sign_head(stack.operator(), tenant_id) if signed_head else None
        with open_chain(stack.database_url(), tenant_id) as chain, _lines(out) as write:
            walk = _export(chain, tenant_id, from_, signed, write)
    if walk.first_broken is not None:
        fail(f"exported, but the chain is BROKEN at event {walk.first_broken}", Exit.FAILED)
    typer.echo(f"exported {walk.events} events", err=True)


def _export(
    chain: Chain,
    tenant_id: str,
    first: int,
    signed: SignedHead | None,
    write: Callable[[str], object],
) -> ChainWalk:
    ends = chain.ends(first)
    head, until = ends.head, ends.until
    if signed is not None:
        head, until = signed.head, signed.head.seq
        if first > until + 1:
            raise TenancyError(f"--from is beyond the signed head, which is event {until}")
    walk, last = ChainWalk(first, ends.before), Head(first - 1, ends.before or GENESIS)
    for event in watched(chain.events(first, until), until - first + 1):
        write(event_line(event))
        walk.take(event)
        last = Head(event.seq, event.hash)
    walk.end(Ends(head, last, ends.before))
    write(head_line(tenant_id, first, head, datetime.now(UTC), signed.jws if signed else None))
    return walk


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[Callable[[str], object]]:
    if out is None:
        yield lambda line: sys.stdout.write(f"{line}\n")
        return
    with private_stream(out) as file:
        yield lambda line: file.write(f"{line}\n".encode())
