"""A client that proves itself by a stored certificate: three lines from AccessSecret to a TLS handshake."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from tests.fakes import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fakes.certificates import Chain
    from tests.fixtures.tenant_user import TenantUser

SECONDS = 20
PASSPHRASE = "pàss wörd"
HOST = "localhost"


def fresh_chain() -> Chain:
    """Root, intermediate and leaf that are valid now; who trusts the root needs the intermediate."""
    now = datetime.now(UTC)
    validity: dict[str, Any] = {
        "not_before": now - timedelta(days=1),
        "not_after": now + timedelta(days=60),
    }
    root = certificates.issue("Test Root", ca=True, **validity)
    intermediate = certificates.issue("Test Intermediate", by=root, ca=True, **validity)
    leaf = certificates.issue("client.example", by=intermediate, **validity)
    return certificates.Chain(root, intermediate, leaf)


def as_pem(made: Chain) -> dict[str, str]:
    """The issuer first: the order in the file is not the order of the normal form."""
    encrypted = certificates.key_pem(made.leaf.key, PASSPHRASE)
    return {
        "certificate_type": "pem",
        "certificate_content": made.intermediate.pem + made.leaf.pem,
        "private_key": encrypted,
        "passphrase": PASSPHRASE,
    }


def as_pfx(made: Chain) -> dict[str, str]:
    content = pkcs12.serialize_key_and_certificates(
        b"client",
        made.leaf.key,
        made.leaf.certificate,
        [made.intermediate.certificate],
        serialization.BestAvailableEncryption(PASSPHRASE.encode()),
    )
    return {
        "certificate_type": "pfx",
        "certificate_content": base64.b64encode(content).decode(),
        "passphrase": PASSPHRASE,
    }


def as_pkcs7(made: Chain) -> dict[str, str]:
    content = pkcs7.serialize_certificates(
        [made.intermediate.certificate, made.leaf.certificate], serialization.Encoding.DER
    )
    return {
        "certificate_type": "p7b",
        "certificate_content": base64.b64encode(content).decode(),
        "private_key": made.leaf.key_pem,
    }


FORMS = {"PEM": as_pem, "PFX": as_pfx, "PKCS#7 and key": as_pkcs7}


class Door:
    """A TLS server on a port of the system's choice that lets in who holds a key of `root`'s."""

    def __init__(self, root: certificates.Issued, folder: Path) -> None:
        own = certificates.issue(
            HOST,
            by=root,
            dns=[HOST],
            not_before=root.certificate.not_valid_before_utc,
            not_after=root.certificate.not_valid_after_utc,
        )
        file = folder / "server.pem"
        file.write_text(own.key_pem + own.pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)
        self._context.load_verify_locations(cadata=root.pem)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SECONDS)
        self.address: tuple[str, int] = self._listener.getsockname()

    def greet(self) -> None:
        """Answer one client with the common name that it proved; a client that proves none gets nothing."""
        with self._listener, contextlib.suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.settimeout(SECONDS)
            with accepted, self._context.wrap_socket(accepted, server_side=True) as client:
                subject: Any = (client.getpeercert() or {})["subject"]
                client.sendall(dict(part[0] for part in subject)["commonName"].encode())


@contextlib.contextmanager
def door(root: certificates.Issued, folder: Path) -> Iterator[Door]:
    made = Door(root, folder)
    thread = threading.Thread(target=made.greet)
    thread.start()
    try:
        yield made
    finally:
        thread.join(2 * SECONDS)
        assert not thread.is_alive()


def greeted_as(made: Door, context: ssl.SSLContext) -> str:
    """What the server calls the client; empty when it does not let it in."""
    with (
        socket.create_connection(made.address, timeout=SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=HOST) as server,
    ):
        return server.recv(1024).decode()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_client_of_a_stored_certificate_is_let_in(
    tenant: TenantUser, tmp_path: Path, form: Callable[[Chain], dict[str, str]]
) -> None:
    made = fresh_chain()
    sent = {"name": "CLIENT", **form(made)}
    stored = tenant.call("POST", "/v1/secrets/certificate", json=sent)
    assert stored.status_code == 201, stored.text
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=made.root.pem)
    file = tmp_path / "client.pem"

    found = tenant.access(name="CLIENT").certificate.normal_form
    file.write_text(found.private_key + found.certificate + found.chain)
    context.load_cert_chain(file)

    with door(made.root, tmp_path) as server:
        assert greeted_as(server, context) == "client.example"
    # And beside it, byte for byte, what was sent.
    kept = tenant.access(name="CLIENT").certificate
    assert kept.content == sent["certificate_content"]
    assert kept.private_key == sent.get("private_key", "")
    assert kept.passphrase == sent.get("passphrase", "")


def test_the_door_lets_nobody_in_without_a_certificate(tmp_path: Path) -> None:
    root = fresh_chain().root
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.pem)
    with door(root, tmp_path) as server, pytest.raises(ssl.SSLError):
        greeted_as(server, context)
