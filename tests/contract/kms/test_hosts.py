"""No host that a tenant names is ever contacted, but those of the cloud that it names.

What a tenant sends goes through the door that the product has: `parse`. What that takes is used with the real
SDK, on a machine whose name service writes down every question and answers none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from devcloud.http import HttpAnswer
from services.common.errors import ValidationError
from services.kms.cloud_settings import AzureSettings, GcpSettings
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError
from services.kms.providers.aws import AwsProvider
from services.kms.providers.azure import AzureProvider
from services.kms.providers.gcp import GcpProvider
from services.kms.validation import Rules, parse
from tests.contract.kms.sites import servers
from tests.fakes import certificates
from tests.fakes.kms_keys import CountingMeter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from services.kms.providers.catalog import Provider

TENANT = uuid.UUID(int=1)
VARIABLE = "COFFER_TEST_CLIENT_SECRET"
RULES = Rules(client_secret_env_vars={TENANT: frozenset({VARIABLE})})
KNOWN = {
    "aws": (
        ".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".c2s.ic.gov", ".sc2s.sgov.gov",
        ".cloud.adc-e.uk", ".csp.hci.ic.gov",
    ),
    "gcp": (".googleapis.com",),
    "azure": (
        ".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net", ".managedhsm.azure.net",
        ".vault.microsoftazure.de", ".managedhsm.azure.cn", ".managedhsm.usgovcloudapi.net",
        "login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us",
        "login.partner.microsoftonline.cn", "login.microsoftonline.de",
    ),
}  # fmt: skip
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Asked(set[str]):
    """The hosts that this process wanted to talk to."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Every name and address that anything here looks up or connects to; none is reached but our own."""
    hosts = Asked()
    look_up, connect, channel = socket.getaddrinfo, socket.socket.connect, grpc.aio.secure_channel

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in LOOPBACK:
            return look_up(host, *arguments, **options)
        hosts.add(str(name))
        raise socket.gaierror(socket.EAI_NONAME, "the test knows no names")

    def connecting(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_UNIX or address[0] in LOOPBACK:
            return connect(self, address)
        hosts.add(str(address[0]))
        raise ConnectionRefusedError

    def secure_channel(target: str, *arguments: Any, **options: Any) -> Any:
        # gRPC looks names up by itself: its target is what there is to see.
        hosts.add(target.removeprefix("dns:///").rpartition(":")[0] or target)
        return channel("127.0.0.1:1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connecting)
    monkeypatch.setattr(grpc.aio, "secure_channel", secure_channel)
    return hosts


@pytest.fixture(scope="module", autouse=True)
def _identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ambient identities of kms: keys for AWS, a service account for Google, managed identity for Azure."""
    token = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer", "resource": "r"}
    told = json.dumps({**token, "expires_on": "4102444800"}).encode()
    with (
        servers.scripted(HttpAnswer(200, told, {"Content-Type": "application/json"})) as identity,
        pytest.MonkeyPatch.context() as env,
    ):
        account = {
            "type": "service_account",
            "client_email": "kms@operator-project.iam.gserviceaccount.com",
            "private_key": certificates.key_pem(certificates.rsa_key()),
            "token_uri": f"{identity.url}/token",
        }
        account_file = tmp_path_factory.mktemp("hosts") / "account.json"
        account_file.write_text(json.dumps(account))
        env.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        env.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        env.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account_file))
        env.setenv("IDENTITY_ENDPOINT", f"{identity.url}/identity")
        env.setenv("IDENTITY_HEADER", "h")
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            env.delenv(name, raising=False)
        yield


def aws(region: str, **config: object) -> dict[str, object]:
    fields = {"region": region, "role_arn": "arn:aws:iam::444455556666:role/coffer"}
    key_ref = f"arn:aws:kms:{region}:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    return {"provider": "aws", "kms_key_ref": key_ref, "config": {**fields, **config}}


def gcp(
    account: str = "coffer@customer-project.iam.gserviceaccount.com",
    key_ref: str = "projects/customer-project/locations/eu/keyRings/r/cryptoKeys/k",
    **config: object,
) -> dict[str, object]:
    fields = {"impersonate_service_account": account, **config}
    return {"provider": "gcp", "kms_key_ref": key_ref, "config": fields}


def azure(host: str = "customer.vault.azure.net", **config: object) -> dict[str, object]:
    fields = {"vault_url": f"https://{host}", **config}
    return {"provider": "azure", "kms_key_ref": f"https://{host}/keys/k", "config": fields}


AZURE_SECRET = {
    "azure_tenant_id": str(uuid.UUID(int=3)),
    "client_id": str(uuid.UUID(int=4)),
    "client_secret_env_var": VARIABLE,
}


async def use(target: KmsTarget, azure_settings: AzureSettings | None = None) -> WrapError:
    """Wrap with the real SDK and no endpoint of the operator's; nobody is reached."""
    meter, environ = CountingMeter(), {VARIABLE: "secret"}
    providers: dict[str, Any] = {
        "aws": lambda: AwsProvider(meter, total_seconds=3.0),
        "gcp": lambda: GcpProvider(
            meter, endpoints=GcpSettings(), principal=None, total_seconds=3.0
        ),
        "azure": lambda: AzureProvider(
            meter,
            endpoints=azure_settings or AzureSettings(),
            application_id=str(uuid.UUID(int=2)),
            environ=environ,
            rules=RULES,
            total_seconds=3.0,
        ),
    }
    provider: Provider = providers[target.provider]()
    key = provider.key(TENANT, target)
    with pytest.raises(WrapError) as caught:
        await key.wrap(KeyFacts(TENANT, uuid.uuid4()), bytes(32))
    closing = provider.close()  # type: ignore[attr-defined]
    if asyncio.iscoroutine(closing):
        await closing
    return caught.value


def only_known(asked: Asked, provider: str) -> None:
    for host in asked:
        assert host.isascii()
        assert host == host.strip().lower()
        assert host.endswith(KNOWN[provider]), host


PARTITIONS = {
    "eu-central-1": "eu-central-1.amazonaws.com",
    "us-east-1": "us-east-1.amazonaws.com",
    "cn-north-1": "cn-north-1.amazonaws.com.cn",
    "us-gov-west-1": "us-gov-west-1.amazonaws.com",
    "us-iso-east-1": "us-iso-east-1.c2s.ic.gov",
    "us-isob-east-1": "us-isob-east-1.sc2s.sgov.gov",
    "eu-isoe-west-1": "eu-isoe-west-1.cloud.adc-e.uk",
    "us-isof-south-1": "us-isof-south-1.csp.hci.ic.gov",
    "eusc-de-east-1": "eusc-de-east-1.amazonaws.eu",
}


async def test_each_partition_of_aws_is_asked_in_its_own_domain(asked: Asked) -> None:
    reasons = await use_all_in_aws(list(PARTITIONS))
    assert reasons == {Reason.UNREACHABLE}
    assert asked == {
        f"{service}.{domain}" for domain in PARTITIONS.values() for service in ("sts", "kms")
    }


async def use_all_in_aws(regions: Iterable[str]) -> set[Reason]:
    """Each region with a role, which asks STS, and without, which asks KMS; past the door."""
    provider = AwsProvider(CountingMeter(), total_seconds=10.0)
    key_ref = "arn:aws:kms:x:444455556666:key/x"
    keys = [
        provider.key(uuid.uuid4(), KmsTarget("aws", key_ref, config))
        for region in regions
        for role in ("arn:aws:iam::444455556666:role/coffer", None)
        for config in [{"region": region, "role_arn": role, "external_id": None}]
    ]
    facts = KeyFacts(TENANT, TENANT)
    outcomes = await asyncio.gather(
        *(key.wrap(facts, bytes(32)) for key in keys), return_exceptions=True
    )
    provider.close()
    assert {type(one) for one in outcomes} == {WrapError}
    return {one.reason for one in outcomes if isinstance(one, WrapError)}


async def test_google_is_asked_for_a_token_and_then_for_the_key(asked: Asked) -> None:
    await use(parse(gcp(), TENANT, RULES))
    assert asked == {"iamcredentials.googleapis.com"}
    asked.clear()
    own = {"impersonate_service_account": None, "project_id": None}
    await use(KmsTarget("gcp", str(gcp()["kms_key_ref"]), own))
    assert asked == {"cloudkms.googleapis.com"}


async def test_azure_is_asked_at_the_vault_first(asked: Asked) -> None:
    for config in ({}, AZURE_SECRET):
        await use(parse(azure(**config), TENANT, RULES))
    assert asked == {"customer.vault.azure.net"}


async def test_azures_login_is_asked_whatever_tenant_and_challenge_say(
    asked: Asked, tmp_path: Path
) -> None:
    context, ca_file = servers.certificate(tmp_path, "customer.vault.azure.net")
    challenge = 'Bearer authorization="https://{}/t", resource="https://vault.azure.net"'
    with servers.scripted(tls=context) as vault:
        settings = AzureSettings(vault_endpoint_url=vault.url, ca_file=ca_file)
        for authority in (
            "login.microsoftonline.com",
            "evil.example",
            "login.microsoftonline.com@evil.example",
            "login.microsoftonline.com.evil.example",
        ):
            header = {"WWW-Authenticate": challenge.format(authority)}
            vault.answer = lambda _request, header=header: HttpAnswer(401, b"{}", header)  # type: ignore[misc]
            asked.clear()
            bodies = [
                azure(**{**AZURE_SECRET, "azure_tenant_id": tenant})
                for tenant in ("evil.example", "127.0.0.1", "common", str(TENANT))
            ]
            await asyncio.gather(*(use(parse(one, TENANT, RULES), settings) for one in bodies))
            assert asked == {"login.microsoftonline.com"}
    assert vault.asked


REGIONS = (
    "eu-central-1.evil.example", "eu-central-1@evil.example", "evil.example/eu-central-1",
    "evil.example#eu-central-1", "evil.example?eu-central-1", "evil.example:443", "eu-central-1:443",
    "xn--eu-cntral-1", "\u0435u-central-1", "eu-central-1.", "eu%2dcentral-1", "eu-central-1%00",
    "[::1]", "127.0.0.1", "169.254.169.254", "localhost", "eu-central-1\n", "EU-CENTRAL-1", "..",
    "../eu-central-1", "fips-us-east-1", "us-east-1-fips", "aws-global", "local-evil-1",
    "ab-foo-1", "cn-evil-1", "us-gov-evil-1", "us-iso-evil-1", "eusc-evil-1", "internal-host-1",
)  # fmt: skip
VAULTS = (
    "customer.vault.azure.net.evil.example", "customer.vault.azure.net@evil.example",
    "evil.example@customer.vault.azure.net", "evil.example#.vault.azure.net",
    "evil.example?.vault.azure.net", "evil.example/.vault.azure.net", "evil.example\\.vault.azure.net",
    "customer.vault.azure.net:8443", "customer.vault.azure.net:443", "customer.vault.azure.net.",
    "customer.vault.azure.net%2eevil.example", "evil%2eexample.vault.azure.net",
    "customer\u3002vault.azure.net", "customer.vault.azure\u3002net", "cust\u03bfmer.vault.azure.net",
    "a.b.vault.azure.net", "vault.azure.net", ".vault.azure.net", "-.vault.azure.net",
    "[::1]", "[::ffff:169.254.169.254]", "169.254.169.254", "127.0.0.1", "0x7f000001", "localhost",
    "customer.vault.azure.net\n.evil.example", "customer.vault.azure.net\t", " customer.vault.azure.net",
    "customervault.azure.net", "customer.vault.azure.com", "customer.vault.azure.network",
    "customer.privatelink.vaultcore.azure.net", "customer.blob.core.windows.net",
    "login.microsoftonline.com", "management.azure.com", "CUSTOMER.VAULT.AZURE.NET",
    "xn--customr-cya.vault.azure.net", "169-254-169-254.vault.azure.net", "localhost.vault.azure.cn",
    "evil.managedhsm.azure.net", "evil.vault.usgovcloudapi.net", "evil.vault.microsoftazure.de",
)  # fmt: skip
KEY_URLS = (
    "http://customer.vault.azure.net/keys/k", "//customer.vault.azure.net/keys/k",
    "https:customer.vault.azure.net/keys/k", "https:/\\evil.example/keys/k",
    "https://customer.vault.azure.net//evil.example/keys/k",
    "https://customer.vault.azure.net/keys/../../evil", "https://customer.vault.azure.net/keys/k/..",
    "https://customer.vault.azure.net/keys/%2e%2e%2fsecrets", "https://customer.vault.azure.net/keys/k;x",
    "https://customer.vault.azure.net/secrets/k", "https://customer.vault.azure.net/keys/k#@evil.example",
    "file:///etc/passwd", "gopher://customer.vault.azure.net/keys/k",
)  # fmt: skip
AZURE_TENANTS = (
    "evil.example", "common", "adfs", "127.0.0.1", "evil.example/../x", "..", "../..", "@evil.example",
    "x@evil.example", "//evil.example", "x#evil.example", "x?evil.example", "x%2f..%2fevil", "x\\evil",
    "evil.example:443", "[::1]", "xn--evil-example", "\u0451vil.example",
)  # fmt: skip
ACCOUNTS = (
    "coffer@evil.example", "coffer@evil.example#.gserviceaccount.com", "coffer@x/../evil.gserviceaccount.com",
    "coffer@p.iam.gserviceaccount.com.evil.example", "coffer@evil@p.iam.gserviceaccount.com",
    "../../coffer@project.iam.gserviceaccount.com", "x%2f..%2fcoffer@project.iam.gserviceaccount.com",
    "coffer@project.iam.gserviceaccount.com:generateIdToken?", "coffer@project.iam.gserviceaccount.com/x",
    "coffer@project.iam.gserviceaccount.com\r\nHost: evil.example",
    "c\u043effer@project.iam.gserviceaccount.com",
    "coffer@project.iam.gserviceaccount\u3002com", "-", "coffer@127.0.0.1.gserviceaccount.com",
    "coffer@evil.example.gserviceaccount.com", "coffer@xn--prject-6za.iam.gserviceaccount.com",
    "a:b:c@developer.gserviceaccount.com",
)  # fmt: skip
GOOGLE_KEYS = (
    "projects/customer-project/locations/eu.evil.example/keyRings/r/cryptoKeys/k",
    "projects/evil.example/locations/eu/keyRings/r/cryptoKeys/k",
    "projects/customer-project/locations/eu/keyRings/../cryptoKeys/k",
    "projects/customer-project/locations/eu@evil.example/keyRings/r/cryptoKeys/k",
    "//evil.example/projects/customer-project/locations/eu/keyRings/r/cryptoKeys/k",
    "https://evil.example/projects/customer-project/locations/eu/keyRings/r/cryptoKeys/k",
    "projects/evil.example:customer-project/locations/eu/keyRings/r/cryptoKeys/k",
    "projects/customer-project/locations/evil-example/keyRings/r/cryptoKeys/k",
)  # fmt: skip
PROJECTS = (
    "evil.example",
    "..",
    "x/../y",
    "evil.example:8443",
    "evil.example:my-project",
    "ab\r\nc",
)


def hostile() -> list[dict[str, object]]:
    """Bodies of which each wants a request sent where it does not belong."""
    bodies = [aws(region) for region in REGIONS]
    bodies += [azure(host) for host in VAULTS]
    bodies += [{**azure(), "kms_key_ref": url} for url in KEY_URLS]
    bodies += [
        azure(**{"azure_tenant_id": tenant, **more})
        for tenant in AZURE_TENANTS
        for more in ({}, {**AZURE_SECRET, "azure_tenant_id": tenant})
    ]
    bodies += [gcp(account) for account in ACCOUNTS]
    bodies += [gcp(key_ref=key_ref) for key_ref in GOOGLE_KEYS]
    return bodies + [gcp(project_id=project) for project in PROJECTS]


async def test_whatever_a_tenant_writes_only_its_clouds_own_hosts_are_asked(asked: Asked) -> None:
    taken: dict[str, list[KmsTarget]] = {provider: [] for provider in KNOWN}
    for body in hostile():
        with contextlib.suppress(ValidationError):
            target = parse(body, TENANT, RULES)
            taken[target.provider].append(target)
    for provider, targets in taken.items():
        assert targets, "some look well, and lead to the cloud's own hosts"
        asked.clear()
        await asyncio.gather(*map(use, targets))
        assert asked
        only_known(asked, provider)


async def test_aws_is_asked_in_its_own_domains_also_past_the_door(asked: Asked) -> None:
    await use_all_in_aws(REGIONS)
    assert asked
    only_known(asked, "aws")


OVERRIDES = (
    "endpoint_url", "endpoint", "sts_endpoint_url", "kms_endpoint_url", "kms_endpoint", "api_endpoint",
    "iam_endpoint_url", "iam_endpoint_override", "universe_domain", "token_uri", "quota_project_id",
    "vault_endpoint_url", "authority_url", "authority", "verify_challenge_resource", "verify", "ca_file",
    "connection_verify", "proxy", "proxies", "host", "partition", "source_profile", "use_dualstack",
)  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("body", [aws("eu-central-1"), gcp(), azure()], ids=list(KNOWN))
def test_no_endpoint_comes_from_a_tenant(body: dict[str, Any], name: str) -> None:
    told = {
        f"config.{name}": {**body, "config": {**body["config"], name: "https://evil.example"}},
        name: {**body, name: "https://evil.example"},
    }
    parse(body, TENANT, RULES)
    for path, asking in told.items():
        with pytest.raises(ValidationError) as caught:
            parse(asking, TENANT, RULES)
        assert path in (caught.value.fields or {})
