"""Azure's clouds: where vaults live, what a token for them is for, and who issues it. Pure.

A host outside these is contacted under no circumstances, and a login is asked of no authority but that of the
vault's own cloud. Sources: Azure Key Vault, "Object identifiers" (DNS suffixes by cloud); azure-identity,
`AzureAuthorityHosts`; MSAL, `authority.py` (the other names of the same authorities).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from services.kms.validation import forms


@dataclass(frozen=True, slots=True)
class Cloud:
    """`authority` is the host that logins are asked of; `other_authorities` may name it in a challenge."""

    authority: str
    other_authorities: frozenset[str] = frozenset()

    @property
    def authorities(self) -> frozenset[str]:
        """Every name of its login."""
        return self.other_authorities | {self.authority}


_PUBLIC: Final = Cloud(
    "login.microsoftonline.com",
    frozenset({"login.windows.net", "login.microsoft.com", "sts.windows.net"}),
)
_CHINA: Final = Cloud("login.chinacloudapi.cn", frozenset({"login.partner.microsoftonline.cn"}))
_GOVERNMENT: Final = Cloud("login.microsoftonline.us", frozenset({"login-us.microsoftonline.com"}))
_GERMANY: Final = Cloud("login.microsoftonline.de")
"""Closed in 2021; its names are still reserved."""
_BY_SUFFIX: Final = {
    "vault.azure.net": _PUBLIC,
    "managedhsm.azure.net": _PUBLIC,
    "vault.azure.cn": _CHINA,
    "managedhsm.azure.cn": _CHINA,
    "vault.usgovcloudapi.net": _GOVERNMENT,
    "managedhsm.usgovcloudapi.net": _GOVERNMENT,
    "vault.microsoftazure.de": _GERMANY,
}
_VERSION: Final = re.compile(r"[0-9A-Fa-f]{32}")
"""A version is a system-generated identifier of 32 characters."""


@dataclass(frozen=True, slots=True)
class VaultKey:
    """A key in a vault: `host` in lower case, under one of the known suffixes."""

    host: str
    name: str

    @property
    def url(self) -> str:
        """Its identifier, without a version."""
        return f"https://{self.host}/keys/{self.name}"

    @property
    def vault(self) -> str:
        """The vault's own name."""
        return self.host.partition(".")[0]

    @property
    def cloud(self) -> Cloud:
        """The cloud that the vault is in."""
        return _BY_SUFFIX[self._suffix]

    @property
    def resource(self) -> str:
        """What a token for the vault is for, and nothing wider."""
        return f"https://{self._suffix}"

    @property
    def in_hsm(self) -> bool:
        """Whether it is in a managed HSM, which has roles of its own."""
        return self._suffix.startswith("managedhsm.")

    @property
    def _suffix(self) -> str:
        return self.host.partition(".")[2]

    def identified(self, kid: str) -> KeyVersion | None:
        """What an identifier names, None where that is no version of a key in this vault."""
        start, _, version = kid.rpartition("/")
        try:
            key = vault_key(start)
        except ValueError:
            return None
        if key.host != self.host or not _VERSION.fullmatch(version):
            return None
        return KeyVersion(key, version.lower())


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key."""

    key: VaultKey
    version: str

    @property
    def url(self) -> str:
        """Its identifier."""
        return f"{self.key.url}/{self.version}"

    def is_of(self, key: VaultKey) -> bool:
        """Whether it is a version of this key; Azure takes no notice of case in names."""
        return self.key.url.lower() == key.url.lower()

    def is_same(self, other: KeyVersion) -> bool:
        """Whether both name the same version of the same key."""
        return self.is_of(other.key) and self.version == other.version


def vault_key(url: str) -> VaultKey:
    """The key of a URL without a version. Raises ValueError for a host under no known suffix."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    good = (
        parts.scheme == "https"
        and forms.AZURE_HOST.fullmatch(host)
        and forms.AZURE_KEY_PATH.fullmatch(parts.path)
        and "?" not in url
        and "#" not in url
    )
    if not good:
        raise ValueError("not the URL of a key in a vault")
    return VaultKey(host, parts.path.removeprefix("/keys/"))
