"""The identity of this process: PEM files, read again when they are replaced."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from coffer_client.errors import ClientTlsError

_READS: Final = 3
"""Tries to read three files of which none is replaced meanwhile."""

Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What the files held."""

    certificate: bytes
    key: bytes = field(repr=False)
    ca: bytes
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Paths of PEM files: the certificate of a consumer (`spiffe://coffer/consumer/<name>`) with its chain,
    its private key, not encrypted, and the CA of Coffer's services."""

    cert: str | Path
    key: str | Path
    ca: str | Path

    def stamp(self) -> Stamp:
        """Changes when one of the files does. Raises ClientTlsError."""
        try:
            found = [Path(path).stat() for path in (self.cert, self.key, self.ca)]
        except OSError as error:
            raise ClientTlsError(f"A TLS file cannot be read: {error}") from error
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)

    def read(self) -> Identity:
        """What the files hold now; certificate and key belong together. Raises ClientTlsError."""
        for _ in range(_READS):
            stamp = self.stamp()
            identity = self._read_once(stamp)
            if self.stamp() == stamp:
                return identity
        raise ClientTlsError("The TLS files are being replaced all the time.")

    def _read_once(self, stamp: Stamp) -> Identity:
        try:
            certificate, key, ca = (
                Path(path).read_bytes() for path in (self.cert, self.key, self.ca)
            )
            # gRPC would take a key of another certificate, and fail at every connection.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                self.cert, self.key, password=""
            )
        except ssl.SSLError as error:
            raise ClientTlsError(
                f"The key {self.key} is not that of the certificate {self.cert}, or one of them is damaged"
                " or encrypted."
            ) from error
        except OSError as error:
            raise ClientTlsError(f"A TLS file cannot be read: {error}") from error
        return Identity(certificate, key, ca, stamp)
