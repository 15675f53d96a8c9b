"""`coffer secrets delete`, `undelete` and `remove-environment`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands import AsJson, DataDir, NoWait, Yes, confirm, exit_codes, show_json
from cli.stored.calls import Which, path_of
from cli.v1 import completion
from cli.v1.calls import SECRETS, quoted, v1_api
from cli.v1.naming import deleted_secret_id

Deleted = Annotated[
    str,
    typer.Argument(
        metavar="NAME_OR_ID",
        help="The name it had, or its id.",
        autocompletion=completion.deleted_secrets,
    ),
]


def delete(
    *,
    secret: Which,
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete a secret, after asking. Its name is free at once; for 7 days it can be restored.

    Example: coffer secrets delete DB_PASSWORD --yes

    Exit status: 0 deleted, 1 tenant sealed, service busy or failing, or not confirmed, 3 no stack found or
    reachable, 4 refused or no such secret.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        path = path_of(api, secret)
        confirm(f"Delete {secret}?", yes=yes)
        done = api.delete(path)["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo(
            f"deleted; for 7 days `coffer secrets undelete {path.rpartition('/')[2]}` undoes it"
        )


def undelete(
    *,
    secret: Deleted,
    base_environment: Annotated[
        str | None,
        typer.Option(
            metavar="ENV",
            help="Takes the place of its base environment, if that was deleted meanwhile.",
            autocompletion=completion.environments,
        ),
    ] = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a secret that was deleted at most 7 days ago, with all its values and their history.

    Example: coffer secrets undelete DB_PASSWORD --base-environment production

    Exit status: 0 restored, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4
    refused: no such deleted secret, several of that name, the name is taken again, its base environment was
    deleted and nothing says which takes its place, or it has no value there.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        body = None if base_environment is None else {"base_environment": base_environment}
        row = api.post(f"{SECRETS}/{deleted_secret_id(api, secret)}/restore", body)["data"]
    if as_json:
        show_json(row)
    else:
        typer.echo(f"{row['name']} restored, version {row['value_version']}, id {row['id']}")


def remove_environment(
    *,
    secret: Which,
    environment: Annotated[
        str, typer.Argument(help="Not the base one.", autocompletion=completion.environments)
    ],
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove a secret's value, with its history, from one environment, after asking. It is not undone.

    Example: coffer secrets remove-environment DB_PASSWORD staging --yes

    Exit status: 0 removed, 1 tenant sealed, service busy or failing, or not confirmed, 3 no stack found or
    reachable, 4 refused, no such secret, or no value there.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        path = path_of(api, secret)
        confirm(f"Remove the value of {secret} in {environment} for ever?", yes=yes)
        done = api.delete(f"{path}/environments/{quoted(environment)}")["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo(f"removed from {environment}")
