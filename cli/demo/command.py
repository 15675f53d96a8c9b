"""`coffer demo`: its options and its exit status."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_SECRETS = 2000
MOST_SECRETS = 50_000


def demo(
    secrets: Annotated[
        int, typer.Option(min=1, max=MOST_SECRETS, help="How many strings to store.")
    ] = DEFAULT_SECRETS,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running afterwards; Ctrl-C stops it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON; progress goes to stderr.")
    ] = False,
) -> None:
    """Show the whole product once, from nothing, and check every claim.

    Starts PostgreSQL, stand-ins of the three clouds, kms, secrets, rewrap and gateway below the system's
    temporary folder; stores a certificate and strings for a tenant; connects the tenant's own AWS key; shows
    the rewrap, a rotation and its rewrap; reads everything back and compares; disables the key at AWS and
    shows that reading ends, and comes back; goes back to the platform's key, on to one in Google Cloud and
    one in Azure, losing each key that was left; erases a master key and checks the receipt. Less than a
    minute; leaves nothing behind. Needs no Docker, database or cloud.

    Example: coffer demo --secrets 500 --keep

    Exit status: 0 every step held, 1 the step that is named did not, 130 interrupted.
    """
    # Imported here: `coffer --help` need not wait for it, and it needs devcloud, which an image for
    # production does not hold.
    from cli.demo.show import show  # noqa: PLC0415

    raise typer.Exit(show(secrets, keep=keep, as_json=as_json))
