"""Reading settings from the environment, with all faults told at once by the variable's name.

Every secret NAME may be given as NAME_FILE, the path of a file that holds it. A value is never part of a
fault's text.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from services.common.sensitive import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


T = TypeVar("T")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_MAX_PORT: Final = 65_535
_MAX_DIGITS: Final = 18
"""Of a whole number; none of ours is longer, and Python refuses to read thousands in words of its own."""


class SettingsError(Exception):
    """One or more settings are missing or wrong; the text has a line for each, naming the variable."""


class NoAuthorityError(SettingsError, OSError):
    """A CA file holds no certificate. gRPC would then trust a list of its own: everybody's CAs."""


def authorities(file: Path) -> bytes:
    """The certificates that a CA file holds, in PEM. Raises NoAuthorityError, OSError."""
    pem = file.read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise NoAuthorityError(f"{file} holds no CA certificate") from error
    return pem


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a process's identity, and the CA that it trusts."""

    certificate: Path
    key: Path
    ca: Path


class Reader:
    """Reads variables, collects faults; call `finish` before using what was read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._faults: list[str] = []

    def finish(self) -> None:
        """Raise SettingsError if anything was wrong."""
        if self._faults:
            raise SettingsError("\n".join(self._faults))

    def fault(self, name: str, text: str) -> None:
        """Note that `name` is wrong, in words that hold nothing of its value."""
        self._faults.append(f"{name} {text}")

    def optional(self, name: str) -> str | None:
        """The text, or None when the variable is unset or empty."""
        return self._environ.get(name) or None

    def text(self, name: str, default: str | None = None) -> str:
        """The text; a fault when there is neither a value nor a default."""
        value = self.optional(name) or default
        return value if value is not None else self._fault(name, "is required", "")

    def secret(self, name: str, default: str | None = None) -> str:
        """As `text`, from NAME or the file that NAME_FILE names (trailing newline cut), never empty."""
        file = self.optional(f"{name}_FILE")
        if file is None:
            value = self.optional(name) or default
            return value if value is not None else self._fault(name, "(or _FILE) is required", "")
        value = self._content(f"{name}_FILE", file)
        if value == "":
            self.fault(f"{name}_FILE", "names an empty file")
        return value or ""

    def optional_secret(self, name: str) -> str | None:
        """As `secret`, None when neither variable is set, or the file is empty."""
        file = self.optional(f"{name}_FILE")
        return (self._content(f"{name}_FILE", file) if file else self.optional(name)) or None

    def _content(self, name: str, file: str) -> str | None:
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            return self._fault(name, f"cannot be read: {type(error).__name__}", None)

    def key_bytes(self, name: str, length: int) -> SecretBytes:
        """A secret of `length` bytes in base64."""
        try:
            value = base64.b64decode(self.secret(name), validate=True)
        except (binascii.Error, ValueError):
            value = b""
        if len(value) != length:
            self._fault(name, f"must be {length} bytes in base64", "")
            value = bytes(length)
        return SecretBytes(value)

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """A whole number within bounds, both included."""
        value = self.optional(name)
        if value is None:
            return default
        number = _whole(value)
        if number is None or not minimum <= number <= maximum:
            return self._fault(name, f"must be a whole number from {minimum} to {maximum}", default)
        return number

    def seconds(self, name: str, default: float, *, minimum: float, maximum: float) -> float:
        """A duration in seconds within bounds, both included; decimals allowed."""
        value = self.optional(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not minimum <= number <= maximum:
            fault = f"must be a number of seconds from {minimum:g} to {maximum:g}"
            return self._fault(name, fault, default)
        return number

    def flag(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            return self._fault(name, "must be true or false", default)
        return value.lower() == "true"

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """One of `choices`, which are in lower case; the variable may be in any."""
        value = (self.optional(name) or default).lower()
        if value not in choices:
            return self._fault(name, f"must be one of {', '.join(choices)}", default)
        return value

    def path(self, name: str) -> Path:
        """A file that exists."""
        path = Path(self.text(name))
        try:
            found = path.is_file()
        except (OSError, ValueError):  # a name that is too long, a folder that is closed to us
            found = False
        if self.optional(name) and not found:
            self.fault(name, "names no file that can be reached")
        return path

    def optional_path(self, name: str) -> Path | None:
        """As `path`, None when unset."""
        return self.path(name) if self.optional(name) else None

    def address(self, name: str, default: str | None = None) -> Address:
        """host:port, with [..] around an IPv6 host."""
        value = self.text(name, default)
        host, _, port = value.rpartition(":")
        number = _whole(port) if host else None
        if number is None or number > _MAX_PORT:
            if value:  # else it was told that it is missing
                self.fault(name, "must be host:port")
            return Address("127.0.0.1", 0)
        return Address(host.strip("[]"), number)

    def optional_https(self, name: str) -> str | None:
        """An https URL (http on loopback only), None when unset."""
        value = self.optional(name)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            host = parts.hostname
        except ValueError:  # such as brackets that hold no address
            return self._fault(name, "must be an https:// URL", None)
        loopback = host in _LOOPBACK
        if not host or (parts.scheme != "https" and not (parts.scheme == "http" and loopback)):
            return self._fault(name, "must be an https:// URL", None)
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """A comma-separated list; blanks and empty members are dropped."""
        return tuple(
            part.strip() for part in (self.optional(name) or "").split(",") if part.strip()
        )

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """A comma-separated list of networks, or addresses, and never everybody."""
        try:
            found = tuple(ip_network(part) for part in self.names(name))
        except ValueError:
            found = ()
            self._fault(name, "must be networks such as 10.1.0.0/16, comma separated", None)
        if any(network.prefixlen == 0 for network in found):
            self._fault(name, "must not name a network of all addresses", None)
        return found

    def tls(self, prefix: str) -> TlsFiles:
        """The three files of `<prefix>_TLS_CERT_FILE`, `_TLS_KEY_FILE`, `_TLS_CA_FILE`."""
        return TlsFiles(
            certificate=self.path(f"{prefix}_TLS_CERT_FILE"),
            key=self.path(f"{prefix}_TLS_KEY_FILE"),
            ca=self.path(f"{prefix}_TLS_CA_FILE"),
        )

    def _fault(self, name: str, text: str, instead: T) -> T:
        self.fault(name, text)
        return instead


def _whole(text: str) -> int | None:
    """A whole number in ASCII digits: `isdigit` alone is true of others, which `int` refuses."""
    usable = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if usable else None
