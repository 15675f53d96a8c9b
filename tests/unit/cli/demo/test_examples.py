"""What breaks for somebody who pastes what `coffer demo --keep` prints."""

from __future__ import annotations

from pathlib import Path

from cli.demo.examples import examples
from cli.local.credentials import Credentials, GrpcTargets

CREDENTIALS = Credentials(
    base_url="http://127.0.0.1:1234",
    tenant_id="11111111-2222-3333-4444-555555555555",
    tenant_slug="acme",
    api_key="the-api-key",
    admin_jwt="the-admin-jwt",
    grpc=GrpcTargets(kms="127.0.0.1:1", secrets="127.0.0.1:2", rewrap="127.0.0.1:3"),
    ca_file="/with blank/ca.crt",
    client_cert_file="/with blank/c.crt",
    client_key_file="/with blank/c.key",
    devcloud=None,
)


def test_the_text_has_the_urls_and_no_credential() -> None:
    text = examples(CREDENTIALS, Path("/with blank"))
    for wanted in ("http://127.0.0.1:1234", "127.0.0.1:2", "/with blank/credentials.json"):
        assert wanted in text
    assert CREDENTIALS.api_key not in text
    assert CREDENTIALS.admin_jwt not in text
