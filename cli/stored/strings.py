"""`coffer secrets create` and `set`: values that are text."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from cli.commands import AsJson, DataDir, exit_codes, fail, show_json
from cli.exits import Exit
from cli.stored.calls import (
    PATH,
    STDIN,
    Description,
    Environment,
    Name,
    Which,
    find,
    given,
    v1_api,
    without_line_end,
)


def create(
    *,
    name: Name,
    value_file: Annotated[
        Path | None,
        typer.Option(help="Read the value from this file, byte for byte; - is standard input."),
    ] = None,
    description: Description = None,
    environment: Environment = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Store a string. The value comes from a file, from standard input or from a prompt.

    Never from the command line, where every process could read it. From standard input one line end
    at the end is cut, unless --value-file - is given.

    Example: pass show db | coffer secrets create DB_PASSWORD

    Exit status: 0 stored, 1 no value, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir) as api:
        body = {"name": name, "value": _value(value_file)}
        done = api.post(PATH, body | given(description=description, environment=environment))
    row = done["data"]
    if as_json:
        show_json(row)
    else:
        typer.echo(f"{row['name']} stored in {row['base_environment']}, id {row['id']}")


def set_(
    *,
    secret: Which,
    value_file: Annotated[Path | None, typer.Option(help="As for `coffer secrets create`.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="Default: the secret's base environment.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a string secret a new value, read as by `coffer secrets create`.

    Example: coffer secrets set DB_PASSWORD --value-file new-password.txt

    Exit status: 0 stored, 1 no value, 3 no stack found or reachable, 4 refused or no such secret.
    """
    with exit_codes(), v1_api(data_dir) as api:
        path = f"{PATH}/{find(api, secret)}/value"
        body = {"value": _value(value_file)} | given(environment=environment)
        done = api.put(path, body)["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo(f"{done['name']} in {done['environment']}: version {done['value_version']}")


def _value(file: Path | None) -> str:
    if file is not None:
        return _read(file)
    if sys.stdin.isatty():
        value: str = typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
        return value
    value = without_line_end(_read(STDIN))
    if not value:
        fail("no value: standard input is empty", Exit.FAILED)
    return value


def _read(file: Path) -> str:
    """The text of a file or of standard input, unchanged."""
    data = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        fail(f"{'standard input' if file == STDIN else file} is not UTF-8 text", Exit.FAILED)
