"""What befalls the platform's own AWS identity is no word about a customer's key, and passes by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ClientError

from devcloud.aws.server import AwsServer
from devcloud.http import HttpAnswer
from services.kms.model import Reason, WrapError
from services.kms.providers.aws.errors import Action, reason_of
from services.kms.providers.aws.sdk import AwsFailedError, Step, Threads
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.asking import MASTER_KEY, facts
from tests.contract.kms.sites.aws import AwsSite
from tests.fakes.cloud_operators import be_operator_of_aws

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from pathlib import Path

    from devcloud.control import Control
    from devcloud.http import HttpRequest

TOKEN = "a.token.of.kubernetes"
REFUSALS = (
    ("AccessDenied", 403),
    ("InvalidIdentityToken", 400),
    ("IDPCommunicationError", 400),
)


@pytest.fixture(scope="module")
def server() -> Iterator[AwsServer]:
    with AwsServer.seeded() as running:
        yield running


@pytest.fixture(scope="module")
def control(server: AwsServer) -> Iterator[Control]:
    with server.control() as client:
        yield client


@pytest.fixture
async def site(
    server: AwsServer, control: Control, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AwsSite]:
    """A tenant whose cloud is well, at a platform that has no identity yet."""
    be_operator_of_aws(monkeypatch, server)
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")  # whoever runs the tests may have an identity
    made = AwsSite(server, control)
    yield made
    await made.close()


class WebIdentity:
    """What STS answers to the platform's own login, here by a role of a Kubernetes service account."""

    def __init__(self, server: AwsServer) -> None:
        told = server.announcement()
        self._keys = told["aws_access_key_id"], told["aws_secret_access_key"]
        self.answer = self.good()

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        assert parse_qs(request.body.decode())["Action"] == ["AssumeRoleWithWebIdentity"]
        return self.answer

    def refuse(self, code: str, status: int) -> None:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>"
        self.answer = _sts(status, f"<ErrorResponse>{error}</ErrorResponse>")

    def good(self, access_key_id: str | None = None) -> HttpAnswer:
        """Credentials so near their end that they are renewed before each use."""
        expires = datetime.now(UTC) + timedelta(minutes=5)
        return _sts(
            200,
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{access_key_id or self._keys[0]}</AccessKeyId>"
            f"<SecretAccessKey>{self._keys[1]}</SecretAccessKey><SessionToken></SessionToken>"
            f"<Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        )


def _sts(status: int, body: str) -> HttpAnswer:
    return HttpAnswer(status, body.encode(), {"Content-Type": "text/xml"})


@pytest.fixture
def web_identity(
    server: AwsServer, site: AwsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WebIdentity]:
    script = WebIdentity(server)
    (tmp_path / "token").write_text(TOKEN)
    with servers.scripted(script) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        monkeypatch.setenv("AWS_ROLE_ARN", site.principal_arn)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_DEFAULT_REGION", site.customer.region)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield script


async def is_our_trouble(call: Awaitable[object]) -> None:
    with pytest.raises(WrapError) as caught:
        await call
    assert caught.value.reason is Reason.UNREACHABLE, caught.value.hint
    assert "the platform's own identity" in caught.value.hint


async def test_a_refusal_of_our_own_login_is_not_the_customers(
    site: AwsSite, web_identity: WebIdentity, tmp_path: Path
) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    site.expire_logins()
    own = site.key(role_arn=None, external_id=None)
    for refusal in REFUSALS:
        web_identity.refuse(*refusal)
        await asyncio.gather(
            *(is_our_trouble(key.unwrap(facts(site), wrapped)) for key in (site.key(), own))
        )
    web_identity.answer = web_identity.good()
    (tmp_path / "token").write_text("x")  # too short: the SDK itself refuses it
    await is_our_trouble(site.key().unwrap(facts(site), wrapped))
    (tmp_path / "token").write_text(TOKEN)
    assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY


async def test_renewed_credentials_take_the_place_of_the_old(
    site: AwsSite, web_identity: WebIdentity
) -> None:
    web_identity.answer = web_identity.good("AKIAGONEGONEGONEGONE")
    await is_our_trouble(site.key().wrap(facts(site), MASTER_KEY))
    web_identity.answer = web_identity.good()
    await site.key().wrap(facts(site), MASTER_KEY)


async def test_an_identity_that_comes_late_is_found(
    site: AwsSite, server: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = site.key(role_arn=None, external_id=None)
    for key in (site.key(), own):
        await is_our_trouble(key.wrap(facts(site), MASTER_KEY))
    be_operator_of_aws(monkeypatch, server)
    await site.key().wrap(facts(site), MASTER_KEY)
    with pytest.raises(WrapError) as caught:  # it is asked now, and this key is not the operator's
        await own.wrap(facts(site), MASTER_KEY)
    assert caught.value.reason is Reason.ACCESS_DENIED


async def test_a_refusal_of_what_we_did_not_ask_for_is_none_of_the_customer(site: AwsSite) -> None:
    denied = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    def work() -> None:
        raise ClientError(denied, "GetRoleCredentials")  # type: ignore[arg-type]

    threads = Threads(site.meter)
    deadline = asyncio.get_running_loop().time() + 10
    with pytest.raises(AwsFailedError) as caught:
        await threads.call(site.tenant, work, deadline, Step(Action.ASSUME_ROLE))
    threads.close()
    assert not reason_of(caught.value.fault).definite
