"""Sockets for the HTTP servers of our processes: bound by us, so that a supervisor can hold their ports."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.common.settings import Address


def open_socket(address: Address) -> socket.socket:
    """A bound socket that is not listening yet.

    SO_REUSEPORT lets a supervisor hold the port by a bound socket of its own (also without listening).
    Raises OSError when the address cannot be had.
    """
    infos = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, where = infos[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(where)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
