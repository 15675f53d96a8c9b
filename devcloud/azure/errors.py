"""The refusals of the stand-in, as the vault and the login tell them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_REQUEST = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429
SERVER_ERROR = 500


@dataclass(slots=True, eq=False)
class VaultError(Exception):
    """A Key Vault error answer. `inner` is the code of its innererror, where it has one."""

    status: int
    code: str
    message: str
    inner: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The most exact code there is, for the ledger."""
        return self.inner or self.code


@dataclass(slots=True, eq=False)
class LoginError(Exception):
    """An OAuth error answer of the login; `number` is that of AADSTS."""

    error: str
    number: int
    message: str
    status: int = BAD_REQUEST

    @property
    def outcome(self) -> str:
        """As Microsoft numbers it."""
        return f"AADSTS{self.number}"


def bad_parameter(message: str) -> VaultError:
    """A request that does not say what it must."""
    return VaultError(BAD_REQUEST, "BadParameter", message)


def key_not_found(name: str) -> VaultError:
    """No such key or version, or only a deleted one."""
    return VaultError(
        NOT_FOUND,
        "KeyNotFound",
        f"A key with (name/id) {name} was not found in this key vault. If you recently deleted this "
        "key you may be able to recover it using the correct recovery command. For help resolving "
        "this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
    )
