"""The address that a connection comes from, as gRPC tells it. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import unquote

_PEER: Final = re.compile(r"ipv4:(?P<v4>[^:]+):\d+|ipv6:\[(?P<v6>[^\]]+)\]:\d+")


def of_peer(peer: str) -> str | None:
    """The IP address in what `ServicerContext.peer()` returns, without the port; None if it has none.

    gRPC writes `ipv4:192.0.2.7:50051`, `ipv6:[2001:db8::7]:50051` (brackets and zone percent-encoded) and
    `unix:...` (a local socket has no address). An IPv4 address mapped into IPv6 is given as IPv4. What this
    is: the other end of the connection, which may be a proxy.
    """
    match = _PEER.fullmatch(unquote(peer))
    if match is None:
        return None
    try:
        found = ipaddress.ip_address(match["v4"] or match["v6"])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
