"""The certificates of our own processes, in the two layouts they are wanted in.

Every identity is a URI SAN `spiffe://coffer/<path>`; who may do what with one is in docs/trust.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.local.authority import Authority, LeafNames
from cli.local.files import private_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

TRUST_DOMAIN = "spiffe://coffer"
CONSUMERS = "consumer/"
OPERATOR = "operator"
"""Who runs the installation: a client, like a consumer."""
LOCALHOST = "localhost"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Identity:
    """The files one process proves itself with. Only paths: no key bytes."""

    cert_file: Path
    key_file: Path
    ca_file: Path


class DevelopmentPki:
    """The CA and certificates of a local stack, side by side in one folder."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        """`now` is for asking what is due at another time. Reads and writes nothing yet."""
        self._folder = folder
        self._authority = Authority(self.ca_file, folder / "ca.key", now=now)

    @property
    def ca_file(self) -> Path:
        """The CA certificate, PEM."""
        return self._folder / "ca.crt"

    def identity(self, name: str, spiffe_path: str) -> Identity:
        """The certificate `name` for `spiffe://coffer/<spiffe_path>`, made where it is due.

        A service's is for `localhost` and 127.0.0.1; a consumer's and the operator's names no host, so that
        it cannot pose as a service. What due means: `Authority.ensure`. Raises OSError.
        """
        made = Identity(self._folder / f"{name}.crt", self._folder / f"{name}.key", self.ca_file)
        uri = f"{TRUST_DOMAIN}/{spiffe_path}"
        serves = spiffe_path != OPERATOR and not spiffe_path.startswith(CONSUMERS)
        names = LeafNames(uri, (LOCALHOST,), (LOOPBACK,)) if serves else LeafNames(uri, (), ())
        self._authority.ensure(made.cert_file, made.key_file, names)
        return made

    def identities(self, names: Iterable[str]) -> dict[str, Identity]:
        """One certificate for each service name."""
        return {name: self.identity(name, name) for name in names}


class DeploymentPki:
    """A folder for each process, so that each can be handed its own and nothing else.

    `ca/ca.crt` and `ca/ca.key`; `<name>/ca.crt`, `tls.crt` and `tls.key`. As docker-compose.yml
    mounts them.
    """

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        """`now` is for asking what is due at another time. Reads and writes nothing yet."""
        self._folder = folder
        ca = folder / "ca"
        self._authority = Authority(ca / "ca.crt", ca / "ca.key", now=now)

    def issue(self, name: str, names: LeafNames) -> bool:
        """Make `<name>`'s files where they are due; whether the certificate was made.

        Folders are made with mode 0700, files 0600. Raises OSError.
        """
        private_folder(self._authority.cert_file.parent)
        folder = private_folder(self._folder / name)
        made = self._authority.ensure(folder / "tls.crt", folder / "tls.key", names)
        trusted, copy = self._authority.cert_file.read_bytes(), folder / "ca.crt"
        if not copy.exists() or copy.read_bytes() != trusted:
            write_private(copy, trusted)
        return made
