"""`coffer audit verify`: the chain as it stands in the database."""

from __future__ import annotations

import typer

from cli.audit.chain import From, open_chain, watched
from cli.commands import AsJson, DataDir, OfTenant, exit_codes, fail, show_json
from cli.connection import Stack
from cli.exits import Exit
from services.common.audit_chain import ChainWalk


def verify(
    tenant: OfTenant, from_: From = 1, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Verify the hash chain of a tenant's audit events in the database, and name the first broken link.

    Proven by exit status 0: every event follows from the one before, up to the head. NOT proven: that
    nobody with a database superuser's rights made all of it anew from some event on; compare with a head
    that was kept elsewhere (`coffer audit head`, `coffer audit check --head`).

    Example: coffer audit verify --tenant acme

    Exit status: 0 the chain holds, 1 it is broken, 3 no database, 4 no such tenant, or --from beyond the end.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        tenant_id = stack.tenant_id(tenant)
        with open_chain(stack.database_url(), tenant_id) as chain:
            ends = chain.ends(from_)
            walk = ChainWalk(from_, ends.before)
            for event in watched(chain.events(from_, ends.last.seq), ends.last.seq - from_ + 1):
                if not walk.take(event):
                    break
        walk.end(ends)
    digest = ends.last.hash.hex()
    if as_json:
        ok = walk.first_broken is None
        found = {"ok": ok, "events": walk.events, "head": digest, "first_broken": walk.first_broken}
        show_json(found)
    if walk.first_broken is not None:
        fail(f"the chain is BROKEN at event {walk.first_broken}", Exit.FAILED)
    if not as_json:
        typer.echo(f"the chain holds: {walk.events} events, from {from_} to {ends.last.seq}")
        typer.echo(f"head  {digest}")
