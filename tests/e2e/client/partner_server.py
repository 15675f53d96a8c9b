"""A partner's HTTPS server that demands a client certificate and answers with the name in it."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.fakes import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.certificates import Issued

HOST = "localhost"


def fresh(name: str, by: Issued | None = None, **fields: Any) -> Issued:
    """A certificate that is valid now."""
    now = datetime.now(UTC)
    validity: dict[str, Any] = {
        "not_before": now - timedelta(days=1),
        "not_after": now + timedelta(days=60),
    }
    return certificates.issue(name, by=by, **validity, **fields)


class PartnerServer(http.server.ThreadingHTTPServer):
    """Trusts the CAs of the file `trusted`, which may be replaced: it is read for each connection."""

    daemon_threads = True

    def __init__(self, own: Path, trusted: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self._own = own
        self._trusted = trusted
        self.status = 200
        self.body: bytes | None = None
        """What is answered instead of the name in the client's certificate."""
        self.asked: list[str] = []
        """The target of each request that was let in."""
        self.url = f"https://{HOST}:{self.server_address[1]}/orders?of=today&page=2"

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._own)
        context.load_verify_locations(self._trusted)
        context.verify_mode = ssl.CERT_REQUIRED
        return context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        ), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was not let in is no news."""


class _Answer(http.server.BaseHTTPRequestHandler):
    timeout = 20
    server: PartnerServer

    def do_GET(self) -> None:
        proven: Any = self.connection.getpeercert()
        subject = dict(part[0] for part in proven["subject"])
        body = self.server.body or subject["commonName"].encode()
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as it is inherited
        """Nothing on the terminal."""


@contextlib.contextmanager
def partner_server(folder: Path, root: Issued) -> Iterator[PartnerServer]:
    """Trusts `root`'s clients, and is itself of `root`."""
    own = fresh(HOST, by=root, dns=[HOST])
    (folder / "partner.pem").write_text(own.key_pem + own.pem)
    for name in ("trusted.pem", "partner-ca.pem"):
        (folder / name).write_text(root.pem)
    with PartnerServer(folder / "partner.pem", folder / "trusted.pem") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
