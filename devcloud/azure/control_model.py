"""Keys and applications as the control client shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devcloud.azure.model import KeyLife

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A version as it is now; `kid` is its full identifier, the times are Unix seconds."""

    kid: str
    enabled: bool
    not_before: float | None
    expires: float | None

    @property
    def id(self) -> str:
        """The last part of the kid."""
        return self.kid.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as it is now. `versions` oldest first."""

    url: str
    kty: str
    life: KeyLife
    key_ops: tuple[str, ...]
    versions: tuple[VersionInfo, ...]

    @property
    def kid(self) -> str:
        """The current version's identifier."""
        return self.versions[-1].kid


@dataclass(frozen=True, slots=True)
class AppInfo:
    """An application as it is now; `tenants` have consented to it."""

    client_id: str
    client_secret: str = field(repr=False)
    home_tenant_id: str
    tenants: tuple[str, ...]


def key_info(body: Mapping[str, Any]) -> KeyInfo:
    """Read what the control API says of a key."""
    versions = tuple(VersionInfo(**one) for one in body["versions"])
    changes = {"life": KeyLife(body["life"]), "key_ops": tuple(body["key_ops"])}
    return KeyInfo(**{**body, **changes, "versions": versions})


def app_info(body: Mapping[str, Any]) -> AppInfo:
    """Read what the control API says of an application."""
    return AppInfo(**{**body, "tenants": tuple(body["tenants"])})
