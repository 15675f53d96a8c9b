"""The identity of this process: PEM files, read again when they are replaced."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from coffer_client.errors import ClientTlsError

_READS: Final = 3
"""Tries to read three whole files of which none is replaced meanwhile."""

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
        """What the files hold now: certificate and key belong together, and the CA file has a certificate.

        Tried a few times at once, since files may be in the middle of being replaced. Raises ClientTlsError.
        """
        trouble = ClientTlsError("The TLS files are being replaced all the time.")
        for _ in range(_READS):
            try:
                stamp = self.stamp()
                identity = self._read_once(stamp)
                if self.stamp() == stamp:
                    return identity
            except ClientTlsError as error:
                trouble = error
        raise trouble

    def _read_once(self, stamp: Stamp) -> Identity:
        try:
            certificate, key, ca = (
                Path(path).read_bytes() for path in (self.cert, self.key, self.ca)
            )
            self._check_pair()
            self._check_ca(ca)
        except OSError as error:
            raise ClientTlsError(f"A TLS file cannot be read: {error}") from error
        return Identity(certificate, key, ca, stamp)

    def _check_pair(self) -> None:
        """gRPC would take a key of another certificate, and fail at every connection."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                self.cert, self.key, password=""
            )
        except ssl.SSLError as error:
            raise ClientTlsError(
                f"The key {self.key} is not that of the certificate {self.cert}, or one of them is damaged"
                " or encrypted."
            ) from error

    def _check_ca(self, ca: bytes) -> None:
        """gRPC takes an empty CA, or one that begins with a NUL, for none, and then trusts the public CAs:
        any server with a certificate of theirs would be sent the API key and the values."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(self.ca)
        except ssl.SSLError as error:
            raise ClientTlsError(
                f"The CA file {self.ca} is empty or damaged: it must hold a PEM certificate."
            ) from error
        if not context.cert_store_stats()["x509"] or b"\0" in ca:
            raise ClientTlsError(f"The CA file {self.ca} must hold a PEM certificate and no NUL.")
