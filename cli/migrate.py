"""`coffer migrate`: bring a database to this release."""

from __future__ import annotations

import json
import os
from typing import Final

import typer

from cli.commands import AsJson, DataDir, exit_codes, fail, show_json
from cli.connection import Stack, StackNotFoundError
from cli.exits import Exit
from services.common.settings import Reader, SettingsError

_PASSWORDS: Final = "COFFER_ROLE_PASSWORDS"


def migrate(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make or update roles, schemas and the job queue of a database. May be repeated.

    COFFER_DATABASE_URL names the database, as an administrator who may create roles and schemas;
    without it the data directory's is migrated. COFFER_ROLE_PASSWORDS, a JSON object, gives the
    login roles their passwords; a role that is not in it keeps what it has.

    Example: COFFER_DATABASE_URL=postgresql://postgres@localhost/coffer coffer migrate

    Exit status: 0 migrated, 1 the database refused, 3 no database found or reachable.
    """
    import psycopg  # noqa: PLC0415 - only here, so that `coffer --help` is quick
    from sqlalchemy.exc import DBAPIError, OperationalError  # noqa: PLC0415

    from services.common.migrations import runner  # noqa: PLC0415

    with exit_codes():
        stack = Stack.locate(data_dir)
        url, passwords = stack.database_url(), _passwords()
        try:
            done = runner.migrate(url, passwords)
        except OperationalError as error:
            raise StackNotFoundError(
                f"the database cannot be reached ({type(error.orig).__name__})"
            ) from None
        except (DBAPIError, psycopg.Error) as error:
            # Never the whole error: it repeats its statement, which may hold a password.
            cause = error.orig if isinstance(error, DBAPIError) else error
            told = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
            fail(f"the database refused: {told or type(cause).__name__}", Exit.FAILED)
        except ValueError as error:
            fail(str(error), Exit.USAGE)
    if as_json:
        show_json({"done": done})
        return
    for line in done or ["nothing to do"]:
        typer.echo(line)


def _passwords() -> dict[str, str]:
    reader = Reader(os.environ)
    text = reader.optional_secret(_PASSWORDS)
    try:
        reader.finish()
        found = json.loads(text) if text else {}
    except (SettingsError, ValueError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        fail(f'{_PASSWORDS} must be a JSON object of texts: {{"coffer_kms": "..."}}', Exit.USAGE)
    return dict(found or {})
