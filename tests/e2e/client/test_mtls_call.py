"""The example service: a partner lets it in by a stored certificate, also after a rotation."""

from __future__ import annotations

import itertools
import os
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from coffer_client import (
    ClientTls,
    CofferClientError,
    DeadlineExceededError,
    SecretDeletedError,
    SyncCofferClient,
    UnavailableError,
)
from examples.mtls_call.partner import RELOOK_SECONDS, Partner, PartnerError
from tests.e2e.client.partner_server import fresh, partner_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.client.partner_server import PartnerServer
    from tests.fakes.certificates import Issued
    from tests.fixtures.tenant_user import TenantUser

SECONDS = 60
REFUSED = (ssl.SSLError, ConnectionError)
"""How a client learns, in the middle of a call, that its certificate was refused: by an alert, by an end
without one, or by a reset, as the machine's load has it."""


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
    between: Any = Sometimes(coffer)
    partner = Partner(
        between,
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

    # The partner ends its trust in the issuer of that: the next one is fetched soon, not at every refusal.
    other = fresh("Other Root", ca=True)
    (tmp_path / "trusted.pem").write_text(other.pem)
    now += RELOOK_SECONDS
    for _ in range(3):
        with pytest.raises(REFUSED):
            partner.get()
    assert between.asked == 3
    _replace(tenant, secret_id, fresh("third.client", by=other), other)
    now += RELOOK_SECONDS
    assert (partner.get(), partner.version) == ("third.client", 3)
    assert between.asked == 4
    assert set(server.asked) == {"/orders?of=today&page=2"}


class Sometimes:
    """Coffer, unless something stands between."""

    def __init__(self, coffer: SyncCofferClient) -> None:
        self._coffer = coffer
        self.trouble: CofferClientError | None = None
        self.asked = 0

    def get(self, name: str) -> Any:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self._coffer.get(name)


def test_a_partner_that_is_away_or_somebody_else_costs_no_look_at_the_secret(
    tenant: TenantUser,
    server: PartnerServer,
    coffer: SyncCofferClient,
    root: Issued,
    tmp_path: Path,
) -> None:
    _store(tenant, root)
    between: Any = Sometimes(coffer)
    clock = itertools.count(step=RELOOK_SECONDS).__next__  # later at each look at it
    strangers = tmp_path / "strangers.pem"
    strangers.write_text(fresh("Stranger", ca=True).pem)
    away = "https://127.0.0.1:1/"
    for url, ca_file, trouble in (
        (away, tmp_path / "partner-ca.pem", ConnectionRefusedError),
        (server.url, strangers, ssl.SSLCertVerificationError),
    ):
        between.asked = 0
        partner = Partner(between, "PARTNER_TLS", url, ca_file=str(ca_file), clock=clock)
        for _ in range(3):
            with pytest.raises(trouble):
                partner.get()
        assert between.asked == 1
    assert server.asked == []


def test_an_answer_that_is_no_text_is_told_without_it(
    tenant: TenantUser,
    server: PartnerServer,
    coffer: SyncCofferClient,
    root: Issued,
    tmp_path: Path,
) -> None:
    _store(tenant, root)
    server.body = b"\xff\xfea"
    partner = Partner(coffer, "PARTNER_TLS", server.url, ca_file=str(tmp_path / "partner-ca.pem"))
    with pytest.raises(PartnerError, match="UTF-8"):
        partner.get()


def test_calls_go_on_while_coffer_is_away(
    tenant: TenantUser,
    server: PartnerServer,
    coffer: SyncCofferClient,
    root: Issued,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret_id = _store(tenant, root)
    now = 0.0
    between: Any = Sometimes(coffer)
    ca_file = str(tmp_path / "partner-ca.pem")
    partner = Partner(between, "PARTNER_TLS", server.url, ca_file=ca_file, clock=lambda: now)
    between.trouble = UnavailableError("Away.")
    with pytest.raises(UnavailableError):
        partner.get()  # the first one needs it
    between.trouble = None
    assert partner.get() == "first.client"
    _replace(tenant, secret_id, fresh("second.client", by=root), root)

    for trouble in (UnavailableError("Away."), DeadlineExceededError("Silent.")):
        between.trouble, before = trouble, between.asked
        now += 61.0
        assert [partner.get(), partner.get()] == ["first.client"] * 2
        assert between.asked == before + 1
        assert trouble.message in caplog.messages[-1]
    between.trouble = None
    now += 61.0
    assert partner.get() == "second.client"

    # The partner's refusal is told, not Coffer's silence.
    between.trouble = UnavailableError("Away.")
    now += RELOOK_SECONDS
    (tmp_path / "trusted.pem").write_text(fresh("Other Root", ca=True).pem)
    with pytest.raises(REFUSED):
        partner.get()
    # What Coffer takes away is not used any longer.
    between.trouble = SecretDeletedError("Deleted.")
    now += 61.0
    with pytest.raises(SecretDeletedError):
        partner.get()


def _run(settings: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "examples.mtls_call", "PARTNER_TLS", *arguments, "--times", "1"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


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
    call = [server.url, "--ca", str(tmp_path / "partner-ca.pem")]
    assert _run(settings, *call) == (0, "first.client (version 1)\n", "")

    server.status = 503
    status, out, told = _run(settings, *call)
    assert (status, out) == (1, "")
    assert told == "the call failed: localhost answered 503 Service Unavailable\n"

    nobody = settings | {"COFFER_TARGET": "127.0.0.1:1"}
    status, out, told = _run(nobody, *call, "--wait", "0.3")
    assert (status, out) == (1, "")
    assert told.startswith("no certificate from Coffer: ")
    assert "Traceback" not in told

    for wrong, arguments, why in (
        (settings | {"COFFER_TARGET": ""}, call, "COFFER_TARGET"),
        (settings, ["http://x"], "https://"),
        (settings, [server.url, "--ca", ""], "--ca"),
        (settings | {"COFFER_TARGET": "a b:1"}, call, "target"),
    ):
        status, out, told = _run(wrong, *arguments)
        assert (status, out) == (2, "")
        assert why in told.splitlines()[-1]
