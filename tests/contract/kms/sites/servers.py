"""Servers that no cloud would run: a stranger's certificate, a scripted answer, a closed port."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devcloud.http import HttpAnswer, HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devcloud.http import HttpRequest


@dataclass
class Scripted:
    """A running server. `asked` has what reached it, TLS and all; change `answer` at any time."""

    url: str
    answer: Callable[[HttpRequest], HttpAnswer]
    asked: list[HttpRequest] = field(default_factory=list)

    @property
    def listen(self) -> str:
        """As `host:port`."""
        return self.url.rpartition("/")[2]

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        self.asked.append(request)
        return self.answer(request)


@contextlib.contextmanager
def scripted(
    answer: Callable[[HttpRequest], HttpAnswer] | HttpAnswer | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Scripted]:
    """Serve on a free port of the loopback; by default every answer is an empty 404."""
    given = answer or HttpAnswer(404, b"")
    script = Scripted("", given if callable(given) else lambda _request: given)
    server = HttpServer(script, on_stop=lambda: None, tls=tls)
    server.start()
    script.url = f"{'https' if tls else 'http'}://{server.listen}"
    try:
        yield script
    finally:
        server.stop()


@contextlib.contextmanager
def intercepting(
    answer: Callable[[HttpRequest], HttpAnswer], *trusted: Path
) -> Iterator[tuple[Scripted, Path]]:
    """Serve over TLS. The file has the CAs by which a client trusts it, and those of `trusted` too."""
    with tempfile.TemporaryDirectory() as folder:
        context, ca_file = certificate(Path(folder))
        ca_file.write_bytes(b"".join(file.read_bytes() for file in (ca_file, *trusted)))
        with scripted(answer, tls=context) as server:
            yield server, ca_file


def redirecting(url: str) -> HttpAnswer:
    """The redirect that keeps method and body, and so would carry what was sent to another host."""
    return HttpAnswer(307, b"", {"Location": url})


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken and on which nobody listens: connecting is refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def certificate(folder: Path, *hosts: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a new self-signed certificate for 127.0.0.1 and `hosts`, and its file.

    A client that is told to trust the file trusts the server; any other sees a stranger.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stranger")])
    names = [x509.DNSName(host) for host in ("localhost", *hosts)]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    cert_file, both_file = folder / "stranger.crt", folder / "stranger.pem"
    cert_file.write_bytes(pem)
    both_file.write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both_file)
    return context, cert_file
