"""What this package asks for and gives back. Nothing secret shows in `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from coffer_client.contexts import client_context
from coffer_client.errors import CertificateNotUsableError

if TYPE_CHECKING:
    import ssl
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which value: `secret` is a name, or an id (a UUID, also as text in its usual form).

    With `by_name` it is a name, whatever its form: the way to a secret whose name looks like a UUID.
    `environment` is by default the secret's base environment, `value_version` the current one.
    """

    secret: str | UUID
    environment: str | None = None
    value_version: int | None = None
    by_name: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class SecretWarning:
    """A fact that does not keep the value back, such as `expired`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What every secret says of itself. `expires_at` is in UTC."""

    id: str
    name: str
    environment: str
    value_version: int
    expires_at: datetime | None
    warnings: tuple[SecretWarning, ...]


@dataclass(frozen=True, slots=True)
class StringSecret(_Fetched):
    """A string."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NormalForm:
    """PEM texts as TLS libraries load them. `chain` is empty when no issuer was stored."""

    certificate: str = field(repr=False)
    chain: str = field(repr=False)
    private_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateSecret(_Fetched):
    """A certificate: byte for byte as it was stored, and in the one form that TLS libraries load."""

    certificate_type: str
    content: str = field(repr=False)
    private_key: str | None = field(repr=False)
    passphrase: str | None = field(repr=False)
    normal_form: NormalForm | None = field(repr=False)

    def ssl_context(
        self, *, ca_file: str | Path | None = None, ca_data: str | None = None
    ) -> ssl.SSLContext:
        """A context for a client that proves itself by this certificate (mutual TLS).

        Servers are checked by name and against the given CAs; only without any, against the system's. An
        empty text is no CA and is refused. The private key is handed to OpenSSL in memory where the system
        allows it, else in a file that only this user can read and that is gone when this returns. Raises
        CertificateNotUsableError, ValueError, OSError, ssl.SSLError.
        """
        form = self.normal_form
        if form is None or form.private_key is None:
            what = "has no private key" if form else "was stored by an old Coffer: store it again"
            raise CertificateNotUsableError(f"The certificate {self.name} {what}.")
        pem = form.private_key + form.certificate + form.chain
        return client_context(pem, ca_file=ca_file, ca_data=ca_data)


Secret: TypeAlias = StringSecret | CertificateSecret


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value that was stored."""

    id: str
    name: str
    environment: str
    value_version: int
