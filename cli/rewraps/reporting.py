"""`coffer rewraps report` and `coffer rewraps check-report`: what a rewrap did, as evidence.

Format: protos/coffer/kms/v1/kms.proto, `RewrapReport`.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import statements
from cli.api import Api, ApiError
from cli.commands import AsJson, DataDir, NoWait, OtherTenant, exit_codes, show_json
from cli.rewraps.calls import FINAL, PATH, rewraps_api
from cli.statements import Genuine, Keys, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPORT: Final = Kind(
    type="coffer-rewrap-report",
    format="coffer/rewrap-report/1",
    word="report",
    name="a report of a rewrap",
    decimals=("duration_seconds", "rate_per_second"),
)
_LOOKED_AT: Final = 100
"""Rewraps, newest first, among which one that has ended is looked for."""
_SHOWN_IDS: Final = 10
_CENSUSES: Final = ("census_before", "census_after", "census_at_signing")


def report(
    *,
    lease_id: Annotated[
        int | None,
        typer.Argument(metavar="[ID]", help="Which one. Default: the newest that has ended."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the report there, as JSON.")
    ] = None,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the signed report of a rewrap that has ended, and keep it. `check-report` verifies it.

    The first to ask, or the rewrap's end, makes it; it is the same ever after.

    Example: coffer rewraps report --output rewrap-42.json

    Exit status: 0 shown, 1 tenant sealed, service busy or failing, or it could not be written, 3 no stack
    found or reachable, 4 refused: no such rewrap, or it has not ended.
    """
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        found = api.get(f"{PATH}/{_ended_id(api, lease_id)}/report")
        statements.keep(output, found)
    if as_json:
        show_json(found)
        return
    statements.show_statement(found["statement"], facts)
    typer.echo(f"\nsigned (JWS): {found['jws']}")


def check_report(
    file: Annotated[
        Path, typer.Argument(help="The report: JSON as the API gave it, or the JWS alone.")
    ],
    *,
    keys: Keys,
    as_json: AsJson = False,
) -> None:
    """Verify the signed report of a rewrap. Needs no account and no running stack.

    Proven by exit status 0: the holder of one of the given keys signed exactly this statement as a report of
    a rewrap, and nothing in it was changed since. NOT proven: that the statement is true, that the given keys
    are the platform's (keep a copy of the JWKS from before, or compare it with one you got another way), and
    whatever the report itself lists under "does not cover".

    Example: coffer rewraps check-report rewrap-42.json --keys signing-keys.json

    Exit status: 0 genuine, 1 not genuine, 2 could not be checked: a file or the keys could not be read.
    """
    statements.check(file, keys, REPORT, facts, as_json=as_json)


def verify(paper: str, keys: Mapping[str, Any]) -> Genuine:
    """Check a report with a JWKS, see `statements.verify`."""
    return statements.verify(paper, keys, REPORT)


def facts(statement: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """The members of a report for a person: a census in a line, and of many ids the first."""
    for name, value in statement.items():
        shown = value
        if name in _CENSUSES and isinstance(value, dict):
            shown = _census(value)
        elif name == "from_versions" and isinstance(value, dict):
            shown = value.get("versions")
        elif name == "failed_ids" and len(value) > _SHOWN_IDS:
            shown = [*value[:_SHOWN_IDS], f"and {len(value) - _SHOWN_IDS} more"]
        yield name.replace("_", " "), shown


def _census(census: dict[str, Any]) -> str:
    rows = census.get("versions") or ()
    return ", ".join(f"version {row['version']}: {row['data_keys']}" for row in rows) or "nothing"


def _ended_id(api: Api, lease_id: int | None) -> int:
    if lease_id is not None:
        return lease_id
    for lease in api.get(PATH, per_page=_LOOKED_AT)["rewraps"]:
        if lease["state"] in FINAL:
            number: int = lease["id"]
            return number
    raise ApiError(404, {"type": "not_found", "message": "no rewrap has ended yet"})
