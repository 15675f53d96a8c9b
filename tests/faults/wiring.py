"""A stack whose processes reach each other and the database through lines that a test may break."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from cli.local.files import write_private
from cli.local.programs import product_parts
from cli.local.scratch import scratch_folder
from cli.local.services import GRPC_SERVICES, LOGINS
from tests.faults.network import Link
from tests.faults.plan import FaultFolder
from tests.faults.stack import FaultyStack, faulty_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


SERVICE_LINES = {
    "rewrap-secrets": ("COFFER_REWRAP_SECRETS_TARGET", "secrets"),
    "rewrap-kms": ("COFFER_REWRAP_KMS_TARGET", "kms"),
    "secrets-kms": ("COFFER_SECRETS_KMS_TARGET", "kms"),
}
"""The lines between services: the setting that names the far end, and the service there."""
LINES = (*SERVICE_LINES, *(f"{service}-database" for service in GRPC_SERVICES))


@dataclass(frozen=True)
class WiredStack:
    """A faulty stack and its lines, by name."""

    faulty: FaultyStack
    lines: Mapping[str, Link]


@contextlib.contextmanager
def wired_stack(settings: Mapping[str, str] | None = None) -> Iterator[WiredStack]:
    """Every line is whole at first."""
    with contextlib.ExitStack() as undo:
        folder = undo.enter_context(scratch_folder())
        faults = FaultFolder(folder / "faults")
        lines = {
            name: undo.enter_context(Link(partial(faults.address_of, service)))
            for name, (_, service) in SERVICE_LINES.items()
        }
        database = _DatabaseLines(folder)
        for service in GRPC_SERVICES:
            line = undo.enter_context(Link(database.target))
            lines[f"{service}-database"] = database.lines[service] = line
        composed = {setting: lines[name].address for name, (setting, _) in SERVICE_LINES.items()}
        yield WiredStack(
            undo.enter_context(
                faulty_stack(
                    composed | database.settings() | dict(settings or {}),
                    faults=faults,
                    parts=replace(product_parts(), migrate=database.migrate),
                )
            ),
            lines,
        )


class _DatabaseLines:
    """Gives each service database URLs that lead through its line."""

    def __init__(self, folder: Path) -> None:
        self.lines: dict[str, Link] = {}
        self._folder = folder
        self._socket = ""

    def target(self) -> str:
        return self._socket

    def settings(self) -> dict[str, str]:
        return {
            f"{setting}_FILE": str(self._folder / role)
            for logins in LOGINS.values()
            for setting, role in logins.items()
        }

    def migrate(self, admin_dsn: str, passwords: Mapping[str, str]) -> object:
        """The product's, and then the URLs, which nobody knows before."""
        done = product_parts().migrate(admin_dsn, passwords)
        self._socket = f"{parse_qs(urlsplit(admin_dsn).query)['host'][0]}/.s.PGSQL.5432"
        for service, line in self.lines.items():
            for role in LOGINS[service].values():
                secret = quote(passwords[role], safe="")
                url = f"postgresql://{role}:{secret}@{line.address}/postgres"
                write_private(self._folder / role, url)
        return done
