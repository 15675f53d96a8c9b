"""`coffer secrets`: stored secrets. Values go in and never come out over REST."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli.api import Api, ApiError
from cli.commands import (
    AsJson,
    DataDir,
    exit_codes,
    fail,
    group,
    show_facts,
    show_json,
    show_table,
)
from cli.connection import Stack
from cli.exits import Exit

PATH: Final = "/v1/secrets"
_PER_PAGE: Final = 100
_STDIN: Final = Path("-")

Which = Annotated[str, typer.Argument(metavar="NAME_OR_ID", help="Its name, or its id.")]
Name = Annotated[str, typer.Argument(help="Its name: letters, digits, _ . -; unique.")]
Environment = Annotated[str | None, typer.Option(help="Default: the tenant's default.")]
Description = Annotated[str | None, typer.Option(help="For people.")]


def application() -> typer.Typer:
    """`coffer secrets` with its commands."""
    app = group("Stored secrets. Values are write-only here; consumers fetch them over gRPC.")
    app.command("list")(list_)
    app.command("get")(get)
    app.command("create")(create)
    app.command("set")(set_)
    app.command("import-certificate")(import_certificate)
    app.command("delete")(delete)
    return app


def list_(
    *,
    search: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    secret_type: Annotated[
        str | None, typer.Option("--type", help="`string` or `certificate`.")
    ] = None,
    page: Annotated[int, typer.Option(min=1, help="The page, from 1.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=100, help="Rows on a page.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List secrets by name, without values.

    Example: coffer secrets list --search TLS

    Exit status: 0 listed, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), _api(data_dir) as api:
        found = api.get(PATH, search=search, secret_type=secret_type, page=page, per_page=per_page)
    if as_json:
        show_json(found)
        return
    show_table(
        ("name", "type", "environment", "version", "expires", "updated", "id"),
        [
            (
                row["name"],
                row["secret_type"],
                row["base_environment"],
                row["value_version"],
                row["expires_at"],
                row["updated_at"],
                row["id"],
            )
            for row in found["data"]
        ],
        "no secrets",
    )


def get(secret: Which, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one secret, without its value.

    Example: coffer secrets get MY_TLS_CERT

    Exit status: 0 shown, 3 no stack found or reachable, 4 refused or no such secret.
    """
    with exit_codes(), _api(data_dir) as api:
        row = api.get(f"{PATH}/{find(api, secret)}")["data"]
    if as_json:
        show_json(row)
        return
    plain = {name: value for name, value in row.items() if name not in {"environments", "metadata"}}
    metadata = {f"metadata {name}": value for name, value in (row.get("metadata") or {}).items()}
    show_facts([*plain.items(), *metadata.items()])
    typer.echo()
    show_table(
        ("environment", "version", "updated"),
        [(e["environment_name"], e["value_version"], e["updated_at"]) for e in row["environments"]],
        "no environments",
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
    with exit_codes(), _api(data_dir) as api:
        body = {"name": name, "value": _value(value_file)}
        body |= _given(description=description, environment=environment)
        done = api.post(PATH, body)["data"]
    _show_made(done, as_json=as_json)


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
    with exit_codes(), _api(data_dir) as api:
        path = f"{PATH}/{find(api, secret)}/value"
        body = {"value": _value(value_file)} | _given(environment=environment)
        done = api.put(path, body)["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo(f"{done['name']} in {done['environment']}: version {done['value_version']}")


def import_certificate(
    *,
    name: Name,
    certificate: Annotated[Path, typer.Option(help="PEM file with the certificate and its chain.")],
    private_key: Annotated[Path | None, typer.Option(help="PEM file with the key.")] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the key's passphrase; its last line end is cut.")
    ] = None,
    ask_passphrase: Annotated[
        bool, typer.Option("--ask-passphrase", help="Ask for the key's passphrase.")
    ] = False,
    description: Description = None,
    environment: Environment = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Store a certificate with its chain and, if given, its private key and passphrase.

    Example: coffer secrets import-certificate MY_TLS_CERT --certificate tls.crt --private-key tls.key

    Exit status: 0 stored, 1 a file cannot be read, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), _api(data_dir) as api:
        passphrase = None
        if passphrase_file is not None:
            passphrase = _without_line_end(_read(passphrase_file))
        elif ask_passphrase:
            passphrase = typer.prompt("Passphrase of the private key", hide_input=True, err=True)
        body: dict[str, Any] = {"name": name, "certificate_content": _read(certificate)}
        body |= _given(
            private_key=None if private_key is None else _read(private_key),
            passphrase=passphrase,
            description=description,
            environment=environment,
        )
        done = api.post(f"{PATH}/certificate", body)["data"]
    _show_made(done, as_json=as_json)


def delete(
    *,
    secret: Which,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete a secret, after asking. Its name is free at once.

    Example: coffer secrets delete DB_PASSWORD --yes

    Exit status: 0 deleted, 1 not confirmed, 3 no stack found or reachable, 4 refused or no such secret.
    """
    with exit_codes(), _api(data_dir) as api:
        secret_id = find(api, secret)
        if not yes and not typer.confirm(f"Delete {secret}?", err=True):
            fail("not deleted", Exit.FAILED)
        done = api.delete(f"{PATH}/{secret_id}")["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo("deleted")


def find(api: Api, secret: str) -> str:
    """The id of a secret given by id or name. Raises ApiError `not_found`."""
    try:
        return str(uuid.UUID(secret))
    except ValueError:
        pass
    page = 1
    while True:
        found = api.get(PATH, search=secret, page=page, per_page=_PER_PAGE)
        for row in found["data"]:
            if row["name"] == secret:
                return quote(str(row["id"]))
        if page >= found["meta"]["total_pages"]:
            message = f"there is no secret {secret}"
            raise ApiError(404, {"type": "not_found", "message": message})
        page += 1


def _value(file: Path | None) -> str:
    if file is not None:
        return _read(file)
    if sys.stdin.isatty():
        value: str = typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
        return value
    value = _without_line_end(_read(_STDIN))
    if not value:
        fail("no value: standard input is empty", Exit.FAILED)
    return value


def _read(file: Path) -> str:
    """The text of a file or of standard input, unchanged."""
    data = sys.stdin.buffer.read() if file == _STDIN else file.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        fail(f"{'standard input' if file == _STDIN else file} is not UTF-8 text", Exit.FAILED)


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _given(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _show_made(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(row)
        return
    typer.echo(f"{row['name']} stored in {row['base_environment']}, id {row['id']}")
    for warning in (row.get("metadata") or {}).get("warnings", []):
        typer.echo(f"warning: {warning['message']} ({warning['code']})", err=True)


def _api(data_dir: Path | None) -> Api:
    stack = Stack.locate(data_dir)
    return Api(stack.base_url(), stack.api_key())
