"""Whose address a request comes from when proxies of ours stand between.

`X-Forwarded-For` is a list that each proxy appends its peer to; whoever sent the request wrote whatever
stands before that. So it is read from its end, and only as long as those who wrote it are ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Network: TypeAlias = IPv4Network | IPv6Network
_Ip: TypeAlias = IPv4Address | IPv6Address

_HEADER: Final = b"x-forwarded-for"
_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of the proxies whose `X-Forwarded-For` is believed; none: nobody's."""

    networks: tuple[Network, ...] = ()

    def client_ip(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """The right-most address that is none of a trusted proxy, else the left-most.

        The peer's, as it was given, when the peer is no trusted proxy, when there is no such header, and
        when what a trusted proxy appended is no address. What stands further left is not looked at.
        """
        if not self.networks:
            return peer
        found = _address(peer)
        if found is None or not self._trusts(found):
            return peer
        text = b",".join(value for name, value in headers if name == _HEADER)
        if not text.strip():
            return peer
        for part in reversed(text.split(b",")):
            found = _address(part.decode("latin-1"))
            if found is None:
                return peer
            if not self._trusts(found):
                break
        return str(found)

    def _trusts(self, address: _Ip) -> bool:
        return any(address in network for network in self.networks)


def _address(text: str) -> _Ip | None:
    """An address, also with the port that some proxies add: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    stripped = text.strip(" \t")
    ported = _WITH_PORT.fullmatch(stripped)
    try:
        found = ip_address(ported[1] or ported[2] if ported else stripped)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return None
        # A socket for both families shows IPv4 peers so.
        return found.ipv4_mapped or found
    return found
