"""The example service: a partner lets it in by a stored certificate, also after a rotation."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from coffer_client import ClientTls, SyncCofferClient
from examples.mtls_call.partner import Partner
from tests.e2e.client.partner_server import fresh, partner_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.client.partner_server import PartnerServer
    from tests.fakes.certificates import Issued
    from tests.fixtures.tenant_user import TenantUser

SECONDS = 60


def _fields(leaf: Issued, issuer: Issued) -> dict[str, str]:
    return {
        "certificate_content": leaf.pem + issuer.pem,
        "private_key": leaf.key_pem,
    }


@pytest.fixture
def root() -> Issued:
    return fresh("Partner Root", ca=True)


@pytest.fixture
def server(root: Issued, tmp_path: Path) -> Iterator[PartnerServer]:
    with partner_server(tmp_path, root) as made:
        yield made


@pytest.fixture
def coffer(tenant: TenantUser) -> Iterator[SyncCofferClient]:
    tls = ClientTls(*tenant.stack.identity_files("consumer/dev"))
    target = tenant.stack.stack.address("secrets")
    with SyncCofferClient(target, tls=tls, tenant_id=tenant.id) as made:
        yield made


def _store(tenant: TenantUser, root: Issued) -> str:
    intermediate = fresh("Issuing", by=root, ca=True)
    leaf = fresh("first.client", by=intermediate)
    body = {"name": "PARTNER_TLS", **_fields(leaf, intermediate)}
    answer = tenant.call("POST", "/v1/secrets/certificate", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def _replace(tenant: TenantUser, secret_id: str, leaf: Issued, issuer: Issued) -> None:
    body = _fields(leaf, issuer)
    answer = tenant.call("PUT", f"/v1/secrets/{secret_id}/value", json=body)
    assert answer.status_code == 200, answer.text


def test_a_new_version_is_used_without_a_restart(
    tenant: TenantUser,
    server: PartnerServer,
    coffer: SyncCofferClient,
    root: Issued,
    tmp_path: Path,
) -> None:
    secret_id = _store(tenant, root)
    now = 0.0
    partner = Partner(
        coffer,
        "PARTNER_TLS",
        server.url,
        ca_file=str(tmp_path / "partner-ca.pem"),
        clock=lambda: now,
    )
    assert (partner.get(), partner.version) == ("first.client", 1)
    _replace(tenant, secret_id, fresh("second.client", by=root), root)
    assert (partner.get(), partner.version) == ("first.client", 1)  # not looked at again yet
    now = 61.0
    assert (partner.get(), partner.version) == ("second.client", 2)

    # The partner ends its trust in the issuer of that: the next one is fetched at once.
    other = fresh("Other Root", ca=True)
    (tmp_path / "trusted.pem").write_text(other.pem)
    with pytest.raises(OSError, match=r"(?i)unknown ca|reset|closed|broken"):
        partner.get()
    _replace(tenant, secret_id, fresh("third.client", by=other), other)
    assert (partner.get(), partner.version) == ("third.client", 3)


def test_the_service_runs_as_its_page_says(
    tenant: TenantUser, server: PartnerServer, root: Issued, tmp_path: Path
) -> None:
    _store(tenant, root)
    certificate, key, ca = map(str, tenant.stack.identity_files("consumer/dev"))
    settings = {
        "COFFER_TARGET": tenant.stack.stack.address("secrets"),
        "COFFER_TENANT_ID": tenant.id,
        "COFFER_CLIENT_CERT": certificate,
        "COFFER_CLIENT_KEY": key,
        "COFFER_CA": ca,
    }
    arguments = [
        "PARTNER_TLS",
        server.url,
        "--ca",
        str(tmp_path / "partner-ca.pem"),
        "--times",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "examples.mtls_call", *arguments],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "first.client (version 1)\n"), done.stderr
