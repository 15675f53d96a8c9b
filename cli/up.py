"""`coffer up`: the stack in the foreground."""

import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.exits import Exit
from cli.local.credentials import Credentials
from cli.local.errors import AlreadyRunningError, LocalError, StartCancelledError
from cli.local.services import GRPC_SERVICES
from cli.local.stack import Stack
from cli.local.stopping import set_by_signals
from cli.local.supervisor import Event

DEFAULT_DATA_DIR = Path(".coffer")
SIGNAL_POLL_SECONDS = 0.2


def up(
    data_dir: Annotated[
        Path, typer.Option(help="Where everything persistent lives; made when missing.")
    ] = DEFAULT_DATA_DIR,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the REST API; 0 takes any free one.")
    ] = 0,
    devcloud: Annotated[
        bool,
        typer.Option("--devcloud", help="Also start the AWS stand-in, with a key to onboard."),
    ] = False,
) -> None:
    """Start PostgreSQL, kms, secrets, rewrap and gateway, and keep them running.

    Makes a tenant `demo` at the first start. When everything is ready,
    DATA_DIR/credentials.json (mode 0600) holds the URL, an API key, an admin token and the
    client certificate for scripts. Ctrl-C or SIGTERM stops everything; whatever is killed, the
    next start goes on where it was. COFFER_DATABASE_URL names a PostgreSQL of yours instead.

    Example: coffer up --data-dir /var/tmp/coffer --http-port 8080 --devcloud

    Exit status: 0 stopped as asked, 5 already running on that directory, 6 could not start.
    """
    stop = threading.Event()
    with set_by_signals(stop):
        _run(data_dir, http_port, devcloud, stop)


def _run(data_dir: Path, http_port: int, devcloud: bool, stop: threading.Event) -> None:
    console = Console(highlight=False)
    stack = Stack(
        data_dir,
        http_port=http_port,
        devcloud=devcloud,
        on_event=lambda event: _show_event(console, event),
    )
    try:
        credentials = stack.start(stop)
    except StartCancelledError:
        console.print("stopped")
        return
    except LocalError as error:
        errors = Console(stderr=True, highlight=False)
        errors.print(f"coffer up: {error}", markup=False, style="red")
        running = isinstance(error, AlreadyRunningError)
        raise typer.Exit(Exit.ALREADY_RUNNING if running else Exit.NOT_STARTED) from None
    try:
        console.print(_overview(stack, credentials))
        console.print(
            f"ready; credentials in {stack.directory.credentials_file}; Ctrl-C stops", markup=False
        )
        while not stop.wait(SIGNAL_POLL_SECONDS):
            pass  # Python runs signal handlers in this thread, which must wake up for it
    finally:
        console.print("stopping ...")
        stack.stop()


def _show_event(console: Console, event: Event) -> None:
    detail = f": {event.detail}" if event.detail else ""
    pid = f" (pid {event.pid})" if event.pid is not None else ""
    console.print(f"{event.child} {event.what}{pid}{detail}", markup=False, style="dim")


def _overview(stack: Stack, credentials: Credentials) -> Table:
    table = Table("what", "where", "log", title=f"Coffer in {stack.directory.root}")
    table.add_row("REST API", credentials.base_url, str(stack.log_file("gateway")))
    for name in GRPC_SERVICES:
        table.add_row(f"{name} (gRPC, TLS)", stack.address(name), str(stack.log_file(name)))
    table.add_row("PostgreSQL", "unix socket", str(stack.log_file("postgres")))
    if credentials.devcloud is not None:
        endpoint = credentials.devcloud.aws_endpoint_url
        table.add_row("AWS stand-in", endpoint, str(stack.log_file("devcloud")))
    tenant = f"{credentials.tenant_slug} ({credentials.tenant_id})"
    table.add_row("tenant", tenant, "")
    return table
