"""Ports that stay ours while a child that listens on them dies and comes back."""

import errno
import socket
from collections.abc import Iterable

from cli.local.errors import PortTakenError

LOOPBACK = "127.0.0.1"


class ReservedPort:
    """A port held by a socket that is bound and never listens.

    The child binds the same address with SO_REUSEPORT and listens; connections go to it alone.
    The kernel gives the port to nobody who asks for any free one, and refuses it to other
    accounts and to those who do not set SO_REUSEPORT.
    """

    def __init__(self, port: int = 0, host: str = LOOPBACK) -> None:
        """Take `port`, or any free one for 0. Raises PortTakenError."""
        if port:
            self._refuse_listener(host, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise PortTakenError(host, port, _words(error)) from error
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    @staticmethod
    def _refuse_listener(host: str, port: int) -> None:
        # A second stack of the same account could share the port with SO_REUSEPORT, and half of
        # the requests would go to it: so ask first without. SO_REUSEADDR: TIME_WAIT is no owner.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise PortTakenError(host, port, _words(error)) from error

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class PortReservations:
    """The ports of one stack, by name."""

    def __init__(self) -> None:
        """Reserves nothing."""
        self._ports: dict[str, ReservedPort] = {}

    def reserve(self, names: Iterable[str], *, wanted: dict[str, int] | None = None) -> None:
        """Reserve a port for each name; `wanted` asks for numbers. Raises PortTakenError."""
        for name in names:
            self._ports[name] = ReservedPort((wanted or {}).get(name, 0))

    def __getitem__(self, name: str) -> ReservedPort:
        """The port of `name`; KeyError when none was reserved."""
        return self._ports[name]

    def addresses(self) -> dict[str, str]:
        """`host:port` of every name."""
        return {name: port.address for name, port in self._ports.items()}

    def close(self) -> None:
        """Give all of them back."""
        for port in self._ports.values():
            port.close()
        self._ports.clear()


def _words(error: OSError) -> str:
    return "it is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
