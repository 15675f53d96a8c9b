"""Where the command line finds the stack: a data directory of `coffer up`, or the environment.

An explicit `--data-dir` wins; else COFFER_BASE_URL, COFFER_API_KEY, COFFER_ADMIN_JWT, COFFER_STEP_UP and
COFFER_DATABASE_URL (each secret one also as NAME_FILE); else `.coffer`. With COFFER_BASE_URL set no
credential of a data directory is used: it would be sent to a stranger. The operator reaches kms itself, by
COFFER_KMS_TARGET (host:port) and COFFER_OPERATOR_TLS_CERT_FILE, _KEY_FILE and _CA_FILE.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.local.credentials import Credentials, NotRunningError
from cli.local.directory import DataDirectory
from cli.local.issuer import DevelopmentIssuer
from cli.local.keys import LocalKeys
from cli.local.pki import OPERATOR, DevelopmentPki
from cli.reaching import is_private
from cli.tenancy import find_tenant
from services.common.settings import Reader, SettingsError, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DATA_DIR: Final = Path(".coffer")
_ADMIN_DATABASE: Final = "admin"


class StackNotFoundError(Exception):
    """There is no stack, or no credential for it, where it was looked for. The text says what to do."""


class UnknownTenantError(Exception):
    """No tenant has that slug or id."""


@dataclass(frozen=True, slots=True)
class OperatorAccess:
    """Where kms itself is reached (host:port), and what the operator proves himself with."""

    target: str
    tls: TlsFiles


@dataclass(frozen=True, slots=True)
class Stack:
    """Where to look. Looking is done when something is asked for, so a command needs no more than it uses."""

    data_dir: Path
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def locate(cls, data_dir: Path | None, environ: Mapping[str, str] | None = None) -> Stack:
        """From the option and the environment; with the option nothing of the environment counts."""
        if data_dir is not None:
            return cls(data_dir, {})
        return cls(DEFAULT_DATA_DIR, os.environ if environ is None else environ)

    def base_url(self) -> str:
        """The gateway's URL, without a slash at the end.

        Raises StackNotFoundError, also for http to another machine: whatever is sent there (API keys, tokens,
        values) could be read on the way.
        """
        url = self._setting("COFFER_BASE_URL") or self._credentials("COFFER_BASE_URL").base_url
        if not is_private(url):
            raise StackNotFoundError(
                "COFFER_BASE_URL must begin with https://, or with http:// and name this machine "
                "(localhost, 127.0.0.1): over http anybody on the way could read keys and values. Put a "
                "TLS-terminating proxy in front of the gateway, or give it a certificate of its own"
            )
        return url.rstrip("/")

    def api_key(self) -> str:
        """The key for `/v1`. Raises StackNotFoundError."""
        return self._secret("COFFER_API_KEY") or self._own("COFFER_API_KEY").api_key

    def admin_jwt(self, tenant: str | None = None) -> str:
        """The token for `/admin`; for another tenant than the usual one its development issuer signs.

        Raises StackNotFoundError, UnknownTenantError, TenancyError.
        """
        given = self._secret("COFFER_ADMIN_JWT")
        if tenant is None:
            return given or self._own("COFFER_ADMIN_JWT").admin_jwt
        if given or self._setting("COFFER_BASE_URL"):
            raise StackNotFoundError(
                "--tenant needs the development issuer of a data directory; with COFFER_BASE_URL or "
                "COFFER_ADMIN_JWT the token itself names the tenant"
            )
        return self.issuer().admin(self.tenant_id(tenant))

    def step_up(self, tenant: str | None = None) -> str:
        """A token that says the administrator has just authenticated again.

        COFFER_STEP_UP, else one of the development issuer. Raises as `admin_jwt`.
        """
        given = self._secret("COFFER_STEP_UP")
        if given:
            return given
        if self._secret("COFFER_ADMIN_JWT") or self._setting("COFFER_BASE_URL"):
            raise StackNotFoundError(
                "this needs a step-up token of your issuer: set COFFER_STEP_UP or COFFER_STEP_UP_FILE"
            )
        tenant_id = self.tenant_id(tenant) if tenant else self._own("COFFER_STEP_UP").tenant_id
        return self.issuer().step_up(tenant_id)

    def database_url(self) -> str:
        """The administrator's database URL. Raises StackNotFoundError."""
        given = self._secret("COFFER_DATABASE_URL")
        if given:
            return given
        file = LocalKeys(DataDirectory(self.data_dir).secrets).dsn_file(_ADMIN_DATABASE)
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError:
            raise StackNotFoundError(
                f"no database: {self.data_dir} is no data directory of a started stack, and "
                "COFFER_DATABASE_URL is not set; start one with `coffer up`, name it with --data-dir, "
                "or set COFFER_DATABASE_URL"
            ) from None

    def operator(self) -> OperatorAccess:
        """The way to kms for who runs the installation. Raises StackNotFoundError."""
        reader = Reader(self.environ)
        target = reader.optional("COFFER_KMS_TARGET")
        if target is None:
            return self._own_operator()
        prefix = "COFFER_OPERATOR_TLS"
        files = [reader.path(f"{prefix}_{name}_FILE") for name in ("CERT", "KEY", "CA")]
        try:
            reader.finish()
        except SettingsError as error:
            raise StackNotFoundError(
                f"{error}\nCOFFER_KMS_TARGET is set, so the operator's certificate is needed:"
                " `coffer pki issue --name operator` makes one"
            ) from None
        return OperatorAccess(target, TlsFiles(*files))

    def _own_operator(self) -> OperatorAccess:
        target = self._own("COFFER_KMS_TARGET").grpc.kms
        made = DevelopmentPki(DataDirectory(self.data_dir).pki).identity(OPERATOR, OPERATOR)
        return OperatorAccess(target, TlsFiles(made.cert_file, made.key_file, made.ca_file))

    def issuer(self) -> DevelopmentIssuer:
        """The built-in issuer of the data directory. Raises StackNotFoundError."""
        file = LocalKeys(DataDirectory(self.data_dir).secrets).issuer_key_file
        if not file.is_file():
            raise StackNotFoundError(
                f"no development issuer: {self.data_dir} is no data directory of a started stack; "
                "start one with `coffer up` or name it with --data-dir"
            )
        return DevelopmentIssuer(file)

    def tenant_id(self, tenant: str) -> str:
        """The id of a tenant given by id or slug; a slug is looked up in the database.

        Not checked: that a tenant of that id exists. Raises UnknownTenantError, StackNotFoundError,
        TenancyError.
        """
        try:
            return str(uuid.UUID(tenant))
        except ValueError:
            pass
        found = find_tenant(self.database_url(), tenant)
        if found is None:
            raise UnknownTenantError(f"there is no tenant {tenant}; `coffer tenant list` shows all")
        return found

    def _own(self, variable: str) -> Credentials:
        if self._setting("COFFER_BASE_URL"):
            raise StackNotFoundError(
                f"COFFER_BASE_URL is set, so {variable} (or {variable}_FILE) must be too"
            )
        return self._credentials(variable)

    def _credentials(self, variable: str) -> Credentials:
        try:
            return Credentials.read(self.data_dir)
        except NotRunningError as error:
            raise StackNotFoundError(
                f"{error}, name its directory with --data-dir, or set {variable}"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise StackNotFoundError(
                f"the credentials in {self.data_dir} cannot be read ({type(error).__name__})"
            ) from None

    def _setting(self, name: str) -> str | None:
        return Reader(self.environ).optional(name)

    def _secret(self, name: str) -> str | None:
        reader = Reader(self.environ)
        value = reader.optional_secret(name)
        try:
            reader.finish()
        except SettingsError as error:
            raise StackNotFoundError(str(error)) from None
        return value or None
