"""The command `coffer`, put together."""

import typer

from cli import apikeys, audit, grants, kms, pki, rewraps, stored, tenants, tokens
from cli.demo.command import demo
from cli.migrate import migrate
from cli.up import up
from cli.v1 import api_keys, collections, environments


def application() -> typer.Typer:
    """The Typer application with every command."""
    app = typer.Typer(
        name="coffer",
        no_args_is_help=True,
        add_completion=True,
        # A traceback with local variables would show keys.
        pretty_exceptions_enable=False,
    )
    app.callback()(_coffer)
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("migrate")(migrate)
    app.add_typer(tenants.application(), name="tenant")
    app.add_typer(tokens.application(), name="token")
    app.add_typer(apikeys.application(), name="apikey")
    app.add_typer(grants.application(), name="grant")
    app.add_typer(kms.application(), name="kms")
    app.add_typer(audit.application(), name="audit")
    app.add_typer(rewraps.application(), name="rewraps")
    app.add_typer(stored.application(), name="secrets")
    app.add_typer(collections.application(), name="collections")
    app.add_typer(environments.application(), name="environments")
    app.add_typer(api_keys.application(), name="apikeys")
    app.add_typer(pki.application(), name="pki")
    return app


def _coffer() -> None:
    """Coffer: a secrets platform whose master keys live in the customer's own cloud KMS."""


def main() -> None:
    """Entry point of the installed command."""
    application()()


if __name__ == "__main__":
    main()
