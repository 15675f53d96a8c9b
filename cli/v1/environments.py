"""`coffer environments`: where a secret has a value."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    Yes,
    confirm,
    exit_codes,
    group,
    show_facts,
    show_json,
    show_table,
)
from cli.v1 import completion
from cli.v1.calls import ENVIRONMENTS, changed, given, v1_api
from cli.v1.naming import environment_id

Which = Annotated[
    str,
    typer.Argument(
        metavar="NAME_OR_ID", help="Its name, or its id.", autocompletion=completion.environments
    ),
]
DisplayName = Annotated[str | None, typer.Option(help="Its name for people.")]
Description = Annotated[str | None, typer.Option(help="For people.")]
Color = Annotated[str | None, typer.Option(metavar="#RRGGBB", help="For people.")]
Default = Annotated[
    bool,
    typer.Option(
        "--default", help="Where secrets are made that name no environment. There is one."
    ),
]


def application() -> typer.Typer:
    """`coffer environments` with its commands."""
    app = group("Environments: where a secret has a value, such as production.")
    app.command("list")(list_)
    app.command("create")(create)
    app.command("update")(update)
    app.command("delete")(delete)
    return app


def list_(*, no_wait: NoWait = False, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all environments by name.

    Example: coffer environments list

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        found = api.get(ENVIRONMENTS)
    if as_json:
        show_json(found)
        return
    show_table(
        ("name", "for people", "default", "color", "description", "id"),
        [
            (
                row["name"],
                row["display_name"],
                "yes" if row["is_default"] else "",
                row["color"],
                row["description"],
                row["id"],
            )
            for row in found["data"]
        ],
        "no environments",
    )


def create(
    *,
    name: Annotated[str, typer.Argument(help="Its name: a-z, 0-9, _ and -; unique.")],
    display_name: DisplayName = None,
    description: Description = None,
    color: Color = None,
    default: Default = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an environment.

    Example: coffer environments create staging --color "#f59e0b"

    Exit status: 0 made, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    body = {"name": name} | given(
        display_name=display_name, description=description, color=color, is_default=default or None
    )
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.post(ENVIRONMENTS, body)["data"]
    _show(row, as_json=as_json)


def update(
    *,
    environment: Which,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    display_name: DisplayName = None,
    no_display_name: Annotated[
        bool, typer.Option("--no-display-name", help="Shown by its name again.")
    ] = False,
    description: Description = None,
    no_description: Annotated[
        bool, typer.Option("--no-description", help="No description any more.")
    ] = False,
    color: Color = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="The usual color again.")] = False,
    default: Default = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change an environment, or make it the default one in place of the other.

    Example: coffer environments update staging --default

    Exit status: 0 changed, 1 tenant sealed, service busy or failing, 2 nothing to change was given, 3 no
    stack found or reachable, 4 refused or no such environment.
    """
    body = changed(
        name=name,
        display_name=(display_name, no_display_name),
        description=(description, no_description),
        color=(color, no_color),
        is_default=default or None,
    )
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.patch(f"{ENVIRONMENTS}/{environment_id(api, environment)}", body)["data"]
    _show(row, as_json=as_json)


def delete(
    *,
    environment: Which,
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete an environment, after asking. Refused while it is the default or a secret has a value there.

    Values that deleted secrets had there cannot be restored any more.

    Example: coffer environments delete staging --yes

    Exit status: 0 deleted, 1 tenant sealed, service busy or failing, or not confirmed, 3 no stack found or
    reachable, 4 refused or no such environment.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        confirm(f"Delete the environment {environment}?", yes=yes)
        done = api.delete(f"{ENVIRONMENTS}/{environment_id(api, environment)}")["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo("deleted")


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(row)
    else:
        show_facts(row.items())
