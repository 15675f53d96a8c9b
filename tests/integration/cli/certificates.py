"""Certificate files, and what a gateway is sent and answers about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from tests.fakes.certificates import Issued
    from tests.fakes.cli_gateway import Gateway

PASSPHRASE = "schlüssel 1"
COLLECTION = "5d0ee70c-0a6e-4a5e-8a3d-0f3c3f3f7a10"
POST = "POST /v1/secrets/certificate"
METADATA: dict[str, Any] = {
    "subject": "CN=example.com",
    "issuer": "CN=CA",
    "expires_at": "2030-01-01T00:00:00.000Z",
    "has_private_key": True,
    "has_passphrase": False,
    "not_before": "2026-01-01T00:00:00.000Z",
    "serial_number": "0a",
    "sha256_fingerprint": "ff",
    "dns_names": ["example.com"],
    "ip_addresses": [],
    "key_algorithm": "EC",
    "key_size": 256,
    "signature_algorithm": "ecdsa-with-SHA256",
    "is_ca": False,
    "chain_length": 1,
    "warnings": [{"code": "incomplete_chain", "message": "An issuer is missing."}],
}
ROW: dict[str, Any] = {
    "id": "1ce4e937-592c-4bcd-a78c-0b4999a25f0b",
    "name": "TLS",
    "secret_type": "certificate",
    "certificate_type": "pem",
    "base_environment": "production",
    "collection_id": None,
    "metadata": METADATA,
}


def key_der(issued: Issued) -> bytes:
    return issued.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def body_of(gateway: Gateway) -> dict[str, Any]:
    (body,) = gateway.bodies
    assert body is not None
    return body
