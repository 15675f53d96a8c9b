"""What lets us into the clouds is found nowhere, though every process logs all that it can."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from devcloud.customers import PROVIDERS
from services.common import api_keys
from tests.e2e.secrecy.canaries import Canaries, answers_recorded, fresh
from tests.e2e.secrecy.scene import PATH, Scene
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import RPC_SECONDS, RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.key_owner import KeyOwner
    from tests.fixtures.tenant_user import TenantUser

pytestmark = pytest.mark.slow

KMS = "/admin/tenant-kms"
VARIABLE = "COFFER_KMS_CANARY_SECRET"
ALLOWED = str(uuid.uuid4())
"""The tenant that may have that variable's value used."""
SECRET = fresh("client-secret")


@pytest.fixture(scope="module")
def talkative() -> Iterator[RunningStack]:
    """A stack that logs everything, and may use a customer's client secret."""
    settings = {
        "COFFER_LOG_LEVEL": "debug",
        "COFFER_KMS_CLIENT_SECRET_ENV_VARS": json.dumps({ALLOWED: [VARIABLE]}),
        VARIABLE: SECRET,
    }
    with running_stack(settings) as stack:
        yield stack


@pytest.fixture
def scene(talkative: RunningStack) -> Iterator[Scene]:
    slug = "allowed"
    talkative.execute(
        "insert into tenancy.tenant (tenant_id, slug, name, plan)"
        " values (%(id)s, %(slug)s, %(slug)s, 'enterprise')",
        id=ALLOWED,
        slug=slug,
    )
    with answers_recorded(talkative) as answers:
        made = Scene(talkative.user_of(ALLOWED, slug), answers)
        made.canaries.plant("client secret", SECRET)
        yield made


@dataclass(frozen=True, slots=True)
class Way:
    """How a tenant lets us into its cloud: what it sends, and what shuts the door and opens it again."""

    owner: KeyOwner
    body: dict[str, Any]
    shut: Callable[[], object]
    open: Callable[[], object]

    @classmethod
    def of(cls, owner: KeyOwner) -> Way:
        return cls(owner, owner.body, owner.take_grant_away, owner.give_grant_back)

    @classmethod
    def with_secret(cls, tenant: TenantUser) -> Way:
        """Through an application of the customer's own in Azure."""
        azure, owner = tenant.stack.azure, tenant.customer_in("azure")
        app = azure.create_app(owner.made.principal).client_id
        azure.rotate_secret(app, SECRET)
        config = owner.body["config"]
        azure.grant(app, vault=config["vault_url"].removeprefix("https://"))
        more = {"client_id": app, "client_secret_env_var": VARIABLE}
        return cls(
            owner,
            {**owner.body, "config": config | more},
            lambda: azure.rotate_secret(app),
            lambda: azure.rotate_secret(app, SECRET),
        )


def live(scene: Scene, way: Way) -> None:
    """Connect, use, turn, lose and erase a key."""
    tenant, owner = scene.tenant, way.owner
    scene.send(200, f"{KMS}/verify", json=way.body)
    scene.send(200, KMS, json=way.body)
    name = f"of-{owner.provider}-{uuid.uuid4().hex}"
    value = scene.value("stored")
    tenant.create(name, value)
    assert tenant.value(name) == value
    scene.send(200, f"{KMS}/rotate", headers=scene.step_up())
    tenant.ended_lease()
    version = max(tenant.keys()) - 1
    for refuse, mend in (
        (owner.disable, owner.enable),
        (way.shut, way.open),
    ):
        refuse()
        eventually(lambda: proven(tenant) == 400, "the cloud refuses")
        mend()
        eventually(lambda: proven(tenant) == 200, "the cloud agrees again")
    revoke = f"{KMS}/keys/{version}/revoke"
    scene.send(400, revoke, json={"confirm": scene.value("confirm")}, headers=scene.step_up())
    for _ in range(2):
        good = {"confirm": tenant.slug}
        scene.send(200, revoke, json=good, headers=scene.step_up())
    tenant.get(f"{KMS}/keys/{version}/receipt")


def proven(tenant: TenantUser) -> int:
    return tenant.call("POST", f"{KMS}/verify").status_code


def seal_and_unseal(scene: Scene, owner: KeyOwner) -> None:
    """Until unsealing by hand has failed."""
    owner.disable()

    def refused() -> bool:
        body = {"name": uuid.uuid4().hex, "value": scene.value("while sealed")}
        scene.tenant.call("POST", PATH, json=body)
        answer = scene.tenant.call("POST", f"{KMS}/unseal", headers=scene.step_up())
        return answer.status_code == 502

    eventually(refused, "unsealing fails", every=0.2)
    owner.enable()


def test_nothing_that_lets_us_into_a_cloud_is_in_any_log_answer_or_row(scene: Scene) -> None:
    tenant = scene.tenant
    ways = [Way.of(tenant.customer_in(provider)) for provider in PROVIDERS]
    for way in (*ways, last := Way.with_secret(tenant)):
        live(scene, way)
    seal_and_unseal(scene, last.owner)
    shown = tenant.get(KMS)["config"]["config"]
    assert shown["client_secret_env_var"] == VARIABLE
    wrong = {**last.body, "config": {**shown, "client_secret_env_var": SECRET}}
    scene.send(400, KMS, json=wrong)
    scene.send(200, KMS, method="DELETE", headers=scene.step_up())
    stub = kms_pb2_grpc.KmsServiceStub(tenant.stack.channel("operator", "kms"))
    rekeyed = stub.RekeyPlatform(kms_pb2.RekeyPlatformRequest(limit=100), timeout=RPC_SECONDS)
    assert (rekeyed.failed, rekeyed.current) == (0, rekeyed.examined)
    scene.answers.append(scene.stack.http.get("/.well-known/coffer-signing-keys").text)
    for cloud in (scene.stack.cloud, scene.stack.gcp, scene.stack.azure):
        assert cloud.tallies(), "this cloud was never asked"
    scene.hold()


def test_the_search_knows_a_cloud_token_when_it_sees_one() -> None:
    canaries = Canaries()
    canaries.plant_cloud_tokens()
    assert canaries.found_in(f"a word, {api_keys.generate().token}, ya29, ASIA, eyJh") == set()
    azure = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x"
    assert canaries.found_in("authorization: Bearer ya29.c.x") == {"Google access token"}
    assert canaries.found_in(azure) == {"Azure access token"}
    assert canaries.found_in("Credential=ASIA0123456789ABCDEF/2026") == {"AWS session"}
