"""The secrets of one data directory: each made once, kept with mode 0600, read again ever after.

The master key is the one thing that must not be lost: without it nothing stored under the `global`
wrap method opens again. So nothing here is made anew while a database exists that needs it.
"""

import base64
import secrets
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from cli.local.authority import pem_of
from cli.local.errors import DataDirectoryError
from cli.local.files import write_private

MASTER_KEY_BYTES = 32
IDEMPOTENCY_KEY_BYTES = 32
IDEMPOTENT_SERVICES = ("kms", "secrets", "rewrap")
PASSWORD_BYTES = 24
SUPERUSER_PASSWORD = "postgres_password"  # noqa: S105 - the name of a file


class LocalKeys:
    """Files below one folder (0700). Values leave only where a caller needs the text itself."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet."""
        self._folder = folder

    @property
    def master_key_file(self) -> Path:
        """32 random bytes in base64: COFFER_MASTER_KEY_B64_FILE of kms."""
        return self._folder / "master_key_b64"

    @property
    def signing_key_file(self) -> Path:
        """kms's Ed25519 private key, PEM: COFFER_KMS_SIGNING_KEY_FILE."""
        return self._folder / "signing_key.pem"

    def idempotency_key_file(self, service: str) -> Path:
        """32 random bytes in base64: COFFER_<SERVICE>_IDEMPOTENCY_KEY_B64_FILE of `service`."""
        return self._folder / f"{service}_idempotency_key_b64"

    @property
    def issuer_key_file(self) -> Path:
        """The development issuer's ES256 private key, PEM."""
        return self._folder / "jwt_issuer.pem"

    @property
    def jwks_file(self) -> Path:
        """The issuer's public key as a JWKS; derived, written at each start."""
        return self._folder / "jwks.json"

    @property
    def demo_tenant_file(self) -> Path:
        """The tenant made at first start and its API key."""
        return self._folder / "demo_tenant.json"

    def dsn_file(self, name: str) -> Path:
        """The database URL of one login; derived, written at each start."""
        return self._folder / f"{name}_database_url"

    def ensure(self, roles: Iterable[str], *, database_exists: bool) -> None:
        """Make what is missing.

        Raises DataDirectoryError when the database exists and the master key or the superuser's
        password does not: making another would hide that the data can no longer be opened.
        """
        needed = (self.master_key_file, self._folder / SUPERUSER_PASSWORD)
        lost = [file for file in needed if not file.exists()]
        if database_exists and lost:
            raise DataDirectoryError(
                f"{lost[0]} is missing but the database is there; put the file back "
                "(from a backup), or start with another --data-dir"
            )
        self._make_once(self.master_key_file, _random_base64(MASTER_KEY_BYTES))
        # Also where a database is: without the old one copies of yesterday's requests are refused, no more.
        for service in IDEMPOTENT_SERVICES:
            self._make_once(
                self.idempotency_key_file(service), _random_base64(IDEMPOTENCY_KEY_BYTES)
            )
        if not self.signing_key_file.exists():
            write_private(self.signing_key_file, pem_of(ed25519.Ed25519PrivateKey.generate()))
        if not self.issuer_key_file.exists():
            write_private(self.issuer_key_file, pem_of(ec.generate_private_key(ec.SECP256R1())))
        self._make_once(self._folder / SUPERUSER_PASSWORD, secrets.token_urlsafe(PASSWORD_BYTES))
        for role in roles:
            self._make_once(self._password_file(role), secrets.token_urlsafe(PASSWORD_BYTES))

    def superuser_password(self) -> str:
        """The database superuser's; `ensure` first."""
        return (self._folder / SUPERUSER_PASSWORD).read_text()

    def password(self, role: str) -> str:
        """The password of one database login role; `ensure` first."""
        return self._password_file(role).read_text()

    def write_dsn(self, name: str, url: str) -> None:
        """Put a database URL where its service, or the command line, finds it."""
        write_private(self.dsn_file(name), url)

    def _password_file(self, role: str) -> Path:
        return self._folder / f"{role}_password"

    @staticmethod
    def _make_once(file: Path, value: str) -> None:
        if not file.exists():
            write_private(file, value)


def _random_base64(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode()
