"""`python -m devcloud --listen 127.0.0.1:0 --state-dir DIR [--ready-file F]`: run the stand-ins.

All clouds run in this one process, each with listeners and a state file of its own. Serves until
SIGTERM or SIGINT. The ready file (mode 0600, it holds credentials) appears when all of them answer
and is removed when they stop in good order. Everything but faults, session and token lifetimes and
counters is kept in DIR over `kill -9`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devcloud.aws.seed import DEFAULT_EXTERNAL_ID, DEFAULT_REGION
from devcloud.aws.server import AwsServer
from devcloud.aws.snapshot import json_file as aws_file
from devcloud.azure.server import AzureServer
from devcloud.azure.snapshot import json_file as azure_file
from devcloud.files import FolderInUseError, FolderLock, write_json
from devcloud.gcp.server import GcpServer, Listeners
from devcloud.gcp.snapshot import json_file as gcp_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.stand_in import StandIn

STATE_FILE = "aws.json"
GCP_STATE_FILE = "gcp.json"
GCP_FOLDER = "gcp"
AZURE_STATE_FILE = "azure.json"
AZURE_FOLDER = "azure"
EXIT_REFUSED = 1
_MAX_PORT = 65535
_ANY_PORT = "127.0.0.1:0"
_MORE_LISTENERS = (
    ("--gcp-kms-listen", "Google Cloud's KMS (gRPC, TLS)"),
    ("--gcp-iam-listen", "Google Cloud's IAM Credentials API (HTTPS)"),
    ("--gcp-metadata-listen", "Google Cloud's metadata server, and its control door,"),
    ("--azure-listen", "Azure's vaults and login (HTTPS)"),
    ("--azure-plain-listen", "Azure's managed identity, and its control door,"),
)
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; 0 after a signal, 1 with a sentence on stderr when it cannot start."""
    options = _parser().parse_args(arguments)
    # Blocked before any thread exists, so that only `sigwait` below ever receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        return _run(options)
    except (FolderInUseError, OSError, ValueError) as error:
        sys.stderr.write(f"devcloud: {error}\n")
        return EXIT_REFUSED


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.state_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FolderLock(folder), contextlib.ExitStack() as running:
        content: dict[str, Any] = {"pid": os.getpid()}
        for make in _CLOUDS:
            cloud = running.enter_context(make(options))
            content.update(cloud.announcement())
        _serve(content, options.ready_file)
    return 0


def _serve(content: dict[str, Any], ready_file: Path | None) -> None:
    if ready_file is None:
        signal.sigwait(_STOP_SIGNALS)
        return
    write_json(ready_file, content)
    try:
        signal.sigwait(_STOP_SIGNALS)
    finally:
        ready_file.unlink(missing_ok=True)


def _aws(options: argparse.Namespace) -> StandIn:
    host, port = options.listen
    return AwsServer.seeded(
        aws_file(options.state_dir / STATE_FILE),
        host=host,
        port=port,
        region=options.region,
        external_id=options.external_id,
    )


def _gcp(options: argparse.Namespace) -> StandIn:
    return GcpServer.seeded(
        gcp_file(options.state_dir / GCP_STATE_FILE),
        listeners=Listeners(
            kms=options.gcp_kms_listen,
            iam=options.gcp_iam_listen,
            metadata=options.gcp_metadata_listen,
        ),
        folder=options.state_dir / GCP_FOLDER,
    )


def _azure(options: argparse.Namespace) -> StandIn:
    return AzureServer.seeded(
        azure_file(options.state_dir / AZURE_STATE_FILE),
        listen=options.azure_listen,
        plain_listen=options.azure_plain_listen,
        folder=options.state_dir / AZURE_FOLDER,
    )


_CLOUDS: tuple[Callable[[argparse.Namespace], StandIn], ...] = (_aws, _gcp, _azure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devcloud",
        description="Local stand-ins of the clouds' KMS, for development and tests only.",
    )
    parser.add_argument(
        "--listen",
        type=_address,
        required=True,
        help="where AWS listens, 127.0.0.1:PORT; port 0 takes any free one",
    )
    for option, what in _MORE_LISTENERS:
        parser.add_argument(
            option,
            type=_address,
            default=_ANY_PORT,
            help=f"where {what} listens (default: {_ANY_PORT})",
        )
    parser.add_argument("--state-dir", type=Path, required=True, help="folder that keeps the keys")
    parser.add_argument("--ready-file", type=Path, help="JSON written when serving, mode 0600")
    parser.add_argument(
        "--external-id",
        default=DEFAULT_EXTERNAL_ID,
        help="external id of the first customer's role; first start only (default: %(default)s)",
    )
    parser.add_argument(
        "--region",
        default=DEFAULT_REGION,
        help="region of the first customer's key; first start only (default: %(default)s)",
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > _MAX_PORT:
        raise argparse.ArgumentTypeError("must be HOST:PORT")
    return host, int(port)


if __name__ == "__main__":
    raise SystemExit(main())
