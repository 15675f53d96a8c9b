"""Connections to vaults and to Microsoft's login. Belongs to one event loop.

Nothing here has a bound that many tenants share and hanging ones could fill: the connectors take any
number of connections, since each tenant may have only a few calls under way (`Turns`). Names are looked
up by threads of their own instead of those of the whole process, each waited for three seconds at most;
all are in Microsoft's zones, so that no tenant can make the look-up of its own vault hang.

The operator's CA is trusted at overridden endpoints only; everything else is checked against the
system's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 4.0
_LOOKUP_THREADS: Final = 64


class Resolver(AbstractResolver):
    """The system's name service, asked in threads of its own, which start when needed."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="azure-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a host. Raises OSError (gaierror), TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, address in found
        ]

    async def close(self) -> None:
        """Begin no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[tuple[int, str]]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


class _Connector(aiohttp.TCPConnector):
    """Takes any number of connections, and lets none linger.

    A TLS connection is closed by a farewell that the other side has to answer, for which asyncio waits half a
    minute: a server that hangs would keep the socket of every call that was given up.
    """

    def __init__(self, resolver: Resolver, context: ssl.SSLContext) -> None:
        super().__init__(limit=0, limit_per_host=0, resolver=resolver, ssl=context)
        self._opened: set[asyncio.Transport] = set()

    async def connect(self, req: Any, traces: Any, timeout: Any) -> aiohttp.connector.Connection:  # noqa: ASYNC109 - not ours
        """See TCPConnector."""
        self.abort_closing()
        connection = await super().connect(req, traces, timeout)
        if connection.transport is not None:
            self._opened.add(connection.transport)
        return connection

    def abort_closing(self) -> None:
        """End at once what is being closed: nothing that matters is on its way there any more."""
        closing = {one for one in self._opened if one.is_closing()}
        self._opened -= closing
        for one in closing:
            one.abort()


class Network:
    """Opens what it needs when it is first used."""

    def __init__(self, *, own_vaults: bool, own_login: bool, ca_file: Path | None) -> None:
        """`own_vaults`, `own_login`: these are the operator's endpoints and not Azure's."""
        self._own = {"vaults": own_vaults, "login": own_login}
        self._ca_file = ca_file
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._connectors: dict[str, _Connector] = {}
        self._resolver: Resolver | None = None

    @property
    def vaults(self) -> aiohttp.ClientSession:
        """For requests to vaults."""
        return self._session("vaults")

    @property
    def login(self) -> aiohttp.ClientSession:
        """For requests to Microsoft's login."""
        return self._session("login")

    def _session(self, name: str) -> aiohttp.ClientSession:
        session = self._sessions.get(name)
        if session is None:
            if self._resolver is None:
                self._resolver = Resolver()
            own = self._own[name]
            context = ssl.create_default_context(cafile=self._ca_file if own else None)
            connector = self._connectors[name] = _Connector(self._resolver, context)
            session = self._sessions[name] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # azure-core does it
                trust_env=not own,  # a proxy of the operator's
            )
        return session

    async def close(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()
        for connector in self._connectors.values():
            connector.abort_closing()
        self._connectors.clear()
        await asyncio.sleep(0)  # let go what was aborted
        if self._resolver is not None:
            await self._resolver.close()
