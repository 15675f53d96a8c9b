"""What only Azure has: key versions, kinds of identities, challenges, a wrap of the vault's own."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from devcloud.azure.model import AccessModel
from devcloud.azure.server import AzureServer
from devcloud.http import HttpAnswer
from services.kms.cloud_settings import AzureSettings
from services.kms.model import Reason, Wrapped
from services.kms.validation import OPERATOR, Rules
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.asking import MASTER_KEY, facts, fails
from tests.contract.kms.sites.azure import AzureSite
from tests.contract.kms.sites.site import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from devcloud.azure.control import AzureControl
    from devcloud.azure.control_model import AppInfo
    from services.kms.ports import WrappingKey

VARIABLE = "ACME_CLIENT_SECRET"


@pytest.fixture(scope="module")
def server() -> Iterator[AzureServer]:
    with AzureServer.seeded() as running:
        yield running


@pytest.fixture(scope="module")
def control(server: AzureServer) -> Iterator[AzureControl]:
    with server.control() as client:
        yield client


@pytest.fixture
async def site(server: AzureServer, control: AzureControl) -> AsyncIterator[AzureSite]:
    made = AzureSite(server, control)
    yield made
    await made.close()


async def works(key: WrappingKey, site: AzureSite) -> None:
    wrapped = await key.wrap(facts(site), MASTER_KEY)
    assert await key.unwrap(facts(site), wrapped) == MASTER_KEY


# Keys and versions


async def test_the_vault_itself_wraps_and_nobody_reads_the_public_key(site: AzureSite) -> None:
    await works(site.key(), site)
    asked = {call.operation for call in site.control.calls() if call.resource == site.customer.key}
    assert asked == {"Challenge", "WrapKey", "UnwrapKey"}
    assert site.count(Operation.WRAP) == 1


async def test_the_version_that_wrapped_opens_it_after_a_new_one_came(site: AzureSite) -> None:
    first = site.control.key(site.customer.key).kid
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    assert wrapped.key_ref == first
    second = site.control.rotate(site.customer.key).kid
    assert (await site.key().wrap(facts(site), MASTER_KEY)).key_ref == second
    assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY
    site.control.disable(site.customer.key, first.rpartition("/")[2])
    await site.key().wrap(facts(site), MASTER_KEY)
    await fails(site.key().unwrap(facts(site), wrapped), Reason.KEY_DISABLED)


async def test_a_stored_name_leads_to_no_other_vault(site: AzureSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    assert wrapped.key_ref is not None
    version = wrapped.key_ref.rpartition("/")[2]
    other = site.control.create_customer()
    for kid in (
        f"{other.key}/{version}",
        f"https://evil.example/keys/coffer/{version}",
        f"{site.customer.key}/../{version}",
        site.customer.key,
        "",
    ):
        before = site.count(Operation.UNWRAP)
        stored = replace(wrapped, key_ref=kid)
        await fails(site.key().unwrap(facts(site), stored), Reason.ROUNDTRIP_MISMATCH)
        assert site.count(Operation.UNWRAP) == before


async def test_bytes_that_the_version_did_not_wrap_are_refused(site: AzureSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    kid = site.control.rotate(site.customer.key).kid
    await fails(
        site.key().unwrap(facts(site), replace(wrapped, key_ref=kid)), Reason.ROUNDTRIP_MISMATCH
    )


async def test_a_key_past_its_end_wraps_no_more_and_still_opens(site: AzureSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    for change in (site.control.expire, site.control.postpone):
        change(site.customer.key)
        hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.KEY_DISABLED)
        assert "expired or not yet valid" in hint
        assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY
        site.control.set_window(site.customer.key, not_before=None, expires=None)


async def test_a_vault_with_access_policies_and_an_hsm_name_their_own_permission(
    site: AzureSite,
) -> None:
    for kind, named in (
        ({"access": AccessModel.POLICY}, ("key permission wrapKey", "vaults/keys/wrap/action")),
        ({"managed_hsm": True}, ("Managed HSM Crypto Service", "managedHsm/keys/wrap/action")),
    ):
        customer = site.control.create_customer(**kind)
        key = site.key(customer.key, azure_tenant_id=customer.tenant_id)
        await works(key, site)
        site.control.deny(customer.key)
        hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
        assert all(part in hint for part in named), hint


async def test_a_firewall_is_told_from_a_missing_role(site: AzureSite) -> None:
    site.control.set_firewall(site.vault, up=True)
    hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    assert "firewall" in hint
    assert "Assign the role" not in hint


async def test_a_vault_that_went_away_is_no_word_about_the_key(site: AzureSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    site.control.set_gone(site.vault, gone=True)
    await fails(site.key().unwrap(facts(site), wrapped), Reason.UNREACHABLE)


async def test_a_name_that_does_not_resolve_is_a_wrong_name_to_who_wraps_only(
    site: AzureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    key = site.provider(AzureSettings()).key(site.tenant, site.target())
    wrapped = Wrapped(bytes(256), site.control.key(site.customer.key).kid)
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.KEY_NOT_FOUND)
    assert "there is no vault" in hint
    await fails(key.unwrap(facts(site), wrapped), Reason.UNREACHABLE)


# Who calls


def own_app(site: AzureSite) -> AppInfo:
    """The customer's application, at home in its tenant, that may use the key."""
    app = site.control.create_app(site.customer.tenant_id)
    site.control.grant(app.client_id, key=site.customer.key)
    return app


def allowing(site: AzureSite) -> Rules:
    return Rules(client_secret_env_vars={site.tenant: frozenset({VARIABLE})})


def with_secret(site: AzureSite, app: AppInfo, environ: dict[str, str]) -> WrappingKey:
    config = {"client_id": app.client_id, "client_secret_env_var": VARIABLE}
    provider = site.provider(environ={**site.environ, **environ}, rules=allowing(site))
    return provider.key(site.tenant, site.target(config=config))


async def test_the_customers_application_logs_in_with_the_secret_of_the_variable(
    site: AzureSite,
) -> None:
    app = own_app(site)
    key = with_secret(site, app, {VARIABLE: app.client_secret})
    await works(key, site)
    assert key.describe().principal == f"application {app.client_id}"
    assert {call.caller for call in site.control.calls() if call.resource == site.customer.key} == {
        None,
        app.client_id,
    }


async def test_a_secret_that_is_not_set_is_the_operators_and_nobody_is_asked(
    site: AzureSite,
) -> None:
    for environ in ({}, {VARIABLE: ""}):
        before = site.count(Operation.LOGIN)
        key = with_secret(site, own_app(site), environ)
        hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
        assert VARIABLE in hint
        assert "operator" in hint
        assert site.count(Operation.LOGIN) == before


async def test_a_variable_that_the_operator_withdrew_is_not_read(site: AzureSite) -> None:
    app, environ = own_app(site), {**site.environ}
    environ[VARIABLE] = app.client_secret
    config = {"client_id": app.client_id, "client_secret_env_var": VARIABLE}
    connected = with_secret(site, app, environ)
    wrapped = await connected.wrap(facts(site), MASTER_KEY)
    before = site.count(Operation.LOGIN)
    key = site.provider(environ=environ).key(site.tenant, site.target(config=config))
    for call in (key.wrap(facts(site), MASTER_KEY), key.unwrap(facts(site), wrapped)):
        hint = await fails(call, Reason.UNREACHABLE)
        assert VARIABLE in hint
        assert "COFFER_KMS_CLIENT_SECRET_ENV_VARS" in hint
    assert site.count(Operation.LOGIN) == before


async def test_a_secret_that_the_customer_took_away_is_a_refusal(
    site: AzureSite, caplog: pytest.LogCaptureFixture
) -> None:
    app = own_app(site)
    key = with_secret(site, app, {VARIABLE: app.client_secret})
    site.control.expire_secrets(app.client_id)
    hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    site.control.rotate_secret(app.client_id)
    assert hint == await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    assert all(part in hint for part in (VARIABLE, app.client_id, site.customer.tenant_id))
    assert app.client_secret not in hint + repr(key) + repr(vars(key))
    assert "AADSTS" not in caplog.text
    assert not [one for one in caplog.records if one.name.startswith(("azure", "msal"))]


async def test_a_secret_without_its_application_and_tenant_is_not_sent(site: AzureSite) -> None:
    provider = site.provider(environ={VARIABLE: "secret"}, rules=allowing(site))
    whole = {"client_id": str(uuid.uuid4()), "client_secret_env_var": VARIABLE}
    for missing in ("client_id", "azure_tenant_id"):
        config = {**whole, missing: None}
        key = provider.key(site.tenant, site.target(config=config))
        hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.INVALID_REQUEST)
        assert f"config.{missing}" in hint
    assert site.count(Operation.LOGIN) == 0


async def test_an_application_that_was_disabled_is_a_refusal(site: AzureSite) -> None:
    app = own_app(site)
    key = with_secret(site, app, {VARIABLE: app.client_secret})
    site.control.set_app_enabled(app.client_id, enabled=False)
    hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    assert "is disabled in the tenant" in hint


async def test_a_federated_token_that_only_we_can_mend_is_no_word_of_the_customer(
    site: AzureSite, tmp_path: Path
) -> None:
    expired = tmp_path / "token"
    expired.write_text(site.control.assertion(seconds=-60))
    for file in (expired, tmp_path / "nowhere"):
        provider = site.provider(environ={"AZURE_FEDERATED_TOKEN_FILE": str(file)})
        key = provider.key(site.tenant, site.target())
        hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
        assert "operator has to look" in hint
    theirs = own_app(site)
    key = provider.key(site.tenant, site.target(config={"client_id": theirs.client_id}))
    await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
    # Now with our good token, which it has no federated credential for.
    key = site.key(client_id=theirs.client_id)
    hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    assert "federated credential" in hint


async def test_the_hosts_managed_identity_opens_the_operators_key(
    site: AzureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", site.told["azure_identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", site.told["azure_identity_header"])
    provider = site.provider(environ={})
    config = {"azure_tenant_id": None, "vault_url": site.told["azure_operator_vault_url"]}
    target = site.target(site.told["azure_operator_key"], config)
    await works(provider.key(site.tenant, target), site)
    named = replace(target, config={**target.config, "client_id": str(uuid.uuid4())})
    for tenant, reason in ((site.tenant, Reason.INVALID_REQUEST), (OPERATOR, Reason.UNREACHABLE)):
        hint = await fails(provider.key(tenant, named).wrap(facts(site), MASTER_KEY), reason)
        assert "config.client_id" in hint
    with servers.closed_port() as port:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
        key = provider.key(uuid.uuid4(), target)
        hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
    assert "operator has to look" in hint


# Tenants and challenges


async def test_without_a_tenant_the_one_that_the_vault_names_is_logged_in_to(
    site: AzureSite,
) -> None:
    key = site.key(azure_tenant_id=None)
    await works(key, site)
    # The SDK knows the challenge by now; another login asks the vault itself again.
    other = site.provider().key(uuid.uuid4(), site.target(config={"azure_tenant_id": None}))
    await works(other, site)
    assert site.count(Operation.LOGIN) == 2


@pytest.mark.parametrize("ambient", ["federated", "managed", "secret"])
@pytest.mark.parametrize("lie", [None, "another tenant"])
async def test_no_vault_of_a_refused_tenant_is_used_whatever_the_configuration_says(
    site: AzureSite, monkeypatch: pytest.MonkeyPatch, ambient: str, lie: str | None
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", site.told["azure_identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", site.told["azure_identity_header"])
    refused = site.told["azure_operator_tenant_id"]
    rules = replace(allowing(site), refused_azure_tenants=frozenset({refused}))
    environ = {"federated": site.environ, "managed": {}, "secret": {VARIABLE: "x"}}[ambient]
    provider = site.provider(environ=environ, rules=rules)
    config = {
        "vault_url": site.told["azure_operator_vault_url"],
        "azure_tenant_id": lie and site.customer.tenant_id,
    }
    if ambient == "secret":
        config |= {"client_id": str(uuid.uuid4()), "client_secret_env_var": VARIABLE}
        config["azure_tenant_id"] = config["azure_tenant_id"] or "operator.example"
    target = site.target(site.told["azure_operator_key"], config)
    # The SDK, which keeps challenges for the whole process, knows this one already.
    plain = site.target(target.kms_key_ref, {"azure_tenant_id": None})
    own = site.provider(environ={}).key(OPERATOR, plain)
    kid = (await own.wrap(facts(site), MASTER_KEY)).key_ref
    before = site.control.count("Token", refused)
    key = provider.key(site.tenant, target)
    for call in (
        key.wrap(facts(site), MASTER_KEY),
        key.unwrap(facts(site), Wrapped(bytes(256), kid)),
    ):
        assert "of the platform's operator" in await fails(call, Reason.INVALID_REQUEST)
    assert site.control.count("Token", refused) == before


async def test_the_operators_own_key_is_in_the_tenant_that_is_refused(
    site: AzureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", site.told["azure_identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", site.told["azure_identity_header"])
    rules = Rules(refused_azure_tenants=frozenset({site.told["azure_operator_tenant_id"]}))
    config = {"vault_url": site.told["azure_operator_vault_url"], "azure_tenant_id": None}
    target = site.target(site.told["azure_operator_key"], config)
    await works(site.provider(environ={}, rules=rules).key(OPERATOR, target), site)
    # And customers go on as before, with a tenant named and without one.
    provider = site.provider(rules=rules)
    for tenant in (site.customer.tenant_id, None):
        await works(
            provider.key(site.tenant, site.target(config={"azure_tenant_id": tenant})), site
        )


async def test_a_configured_tenant_is_the_only_one_that_is_logged_in_to(site: AzureSite) -> None:
    stranger = site.control.create_tenant()
    hint = await fails(
        site.key(azure_tenant_id=stranger).wrap(facts(site), MASTER_KEY), Reason.INVALID_REQUEST
    )
    assert "config.azure_tenant_id" in hint
    assert site.count(Operation.LOGIN) == 0


@pytest.mark.parametrize(
    ("authority", "resource"),
    [
        ("https://login.evil.example", None),
        ("https://login.microsoftonline.com.evil.example", None),
        ("https://login.microsoftonline.us", None),
        ("http://login.microsoftonline.com", None),
        (None, "https://evil.example"),
        (None, "https://graph.microsoft.com"),
        (None, "https://azure.net"),
        (None, "https://net"),
        (None, "https://vault.azure.cn"),
    ],
)
async def test_a_challenge_that_leads_astray_is_not_followed(
    site: AzureSite, authority: str | None, resource: str | None
) -> None:
    site.control.mislead(site.vault, authority=authority, resource=resource)
    hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
    assert "outside the vault's own cloud" in hint
    assert "evil" not in hint
    assert site.count(Operation.LOGIN) == 0
    assert site.count(Operation.WRAP) == 0


async def test_bytes_wrapped_travel_with_a_token_only(site: AzureSite, tmp_path: Path) -> None:
    context, ca_file = servers.certificate(tmp_path)
    with servers.scripted(HttpAnswer(401, b"{}"), tls=context) as vault:
        endpoints = replace(site.endpoints, vault_endpoint_url=vault.url, ca_file=ca_file)
        key = site.provider(endpoints).key(site.tenant, site.target())
        await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
        assert vault.asked
        assert all(asked.body == b"" for asked in vault.asked)
        assert {asked.headers["host"] for asked in vault.asked} == {site.vault}


# Logins and neighbours


async def test_a_login_serves_all_keys_of_a_vault_until_its_token_ends(site: AzureSite) -> None:
    other = site.control.create_key(site.vault, "second").url
    site.control.grant(site.application_id, key=other)
    for key_ref in (site.customer.key, other, site.customer.key):
        await works(site.key(key_ref), site)
    assert site.count(Operation.LOGIN) == 1
    site.control.set_token_lifetime(1)
    site.expire_logins()
    started = time.monotonic()
    while site.count(Operation.LOGIN) < 4:
        assert time.monotonic() - started < 15
        await works(site.key(), site)
    site.control.set_token_lifetime(3600)


async def test_tokens_that_are_all_refused_are_not_made_again_and_again(site: AzureSite) -> None:
    await works(site.key(), site)
    site.expire_logins()
    site.control.set_token_lifetime(-60)
    try:
        for made in (2, 3):
            hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
            assert "does not accept the login" in hint
            assert site.count(Operation.LOGIN) == made
    finally:
        site.control.set_token_lifetime(3600)
    await works(site.key(), site)


async def test_80_tenants_whose_vault_or_login_hangs_do_not_keep_a_healthy_one_waiting(
    site: AzureSite,
) -> None:
    hanging = [site.control.create_customer() for _ in range(2)]
    site.control.slow(hanging[0].key, 30.0)
    site.control.slow(hanging[1].tenant_id, 30.0)
    provider = site.provider()
    targets = [
        site.target(one.key, {"azure_tenant_id": one.tenant_id, "vault_url": one.vault_url})
        for one in hanging
    ]
    crowd = [
        asyncio.create_task(provider.key(tenant, target).wrap(facts(site), MASTER_KEY))
        for tenant in [uuid.uuid4() for _ in range(40)]
        for target in targets
        for _ in range(2)
    ]
    await asyncio.sleep(0)
    started = time.monotonic()
    await works(provider.key(site.tenant, site.target()), site)
    assert time.monotonic() - started < 4.0, "it waited for the time-outs of others"
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
