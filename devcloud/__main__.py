"""`python -m devcloud --listen 127.0.0.1:0 --state-dir DIR [--ready-file F]`: run the stand-ins.

Serves until SIGTERM or SIGINT. The ready file (mode 0600, it holds credentials) appears when the
server answers and is removed when it stops in good order. Everything but faults, session lifetime
and counters is kept in DIR over `kill -9`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from devcloud.aws.seed import DEFAULT_EXTERNAL_ID, DEFAULT_REGION
from devcloud.aws.server import AwsServer
from devcloud.aws.snapshot import JsonFile
from devcloud.files import FolderInUseError, FolderLock, write_json

STATE_FILE = "aws.json"
EXIT_REFUSED = 1
_MAX_PORT = 65535
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
    host, port = options.listen
    with FolderLock(folder):
        server = AwsServer.seeded(
            JsonFile(folder / STATE_FILE),
            host=host,
            port=port,
            region=options.region,
            external_id=options.external_id,
        )
        with server:
            _serve(server, options.ready_file)
    return 0


def _serve(server: AwsServer, ready_file: Path | None) -> None:
    if ready_file is None:
        signal.sigwait(_STOP_SIGNALS)
        return
    write_json(ready_file, {"pid": os.getpid(), **server.announcement()})
    try:
        signal.sigwait(_STOP_SIGNALS)
    finally:
        ready_file.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devcloud",
        description="Local stand-in of AWS STS and KMS, for development and tests only.",
    )
    parser.add_argument(
        "--listen", type=_address, required=True, help="127.0.0.1:PORT; port 0 takes any free one"
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
