"""`coffer secrets create`, and where a value that is text comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes, fail, interactive, show_json
from cli.exits import Exit
from cli.stored.calls import (
    STDIN,
    Collection,
    Description,
    Environment,
    ExpiresAt,
    Name,
    Strict,
    details,
    without_line_end,
)
from cli.stored.files import read_text
from cli.v1.calls import SECRETS, v1_api
from services.secrets.values import MAX_VALUE_BYTES

ValueFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        "--value-file",
        help="Read the value from this file, byte for byte; - is standard input.",
    ),
]


def create(
    *,
    name: Name,
    from_file: ValueFile = None,
    description: Description = None,
    environment: Environment = None,
    collection: Collection = None,
    expires_at: ExpiresAt = None,
    strict: Strict = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Store a string. The value comes from a file, from standard input or from a prompt.

    Never from the command line, where every process could read it. From standard input one line end
    at the end is cut, unless --from-file - is given. Certificates: `coffer secrets import-certificate`.

    Example: pass show db | coffer secrets create DB_PASSWORD

    Exit status: 0 stored, 1 tenant sealed, service busy or failing, or no value, 2 something more on the
    command line, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        body = {"name": name, "value": value_from(from_file)}
        body |= details(api, description, environment, collection, expires_at, strict=strict)
        row = api.post(SECRETS, body)["data"]
    if as_json:
        show_json(row)
    else:
        typer.echo(f"{row['name']} stored in {row['base_environment']}, id {row['id']}")


def value_from(file: Path | None) -> str:
    """The value: of the file, else typed unseen on a terminal, else of standard input.

    Leaves with a sentence and Exit.FAILED when there is none, or it is not UTF-8 or too large.
    """
    if file is not None:
        return read_text(file, MAX_VALUE_BYTES)
    if interactive():
        value: str = typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
        return value
    value = without_line_end(read_text(STDIN, MAX_VALUE_BYTES + len("\r\n")))
    if not value:
        fail("no value: standard input is empty", Exit.FAILED)
    return value
