"""The providers against real keys in real clouds: see docs/providers/README.md for the variables.

Each cloud is skipped where COFFER_LIVE_<CLOUD>_KEY is not set. Nothing is created or changed there; wraps and
unwraps of random bytes are all that is asked, and all that is paid for.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from services.kms.cloud_settings import AzureSettings, GcpSettings
from services.kms.keys import hierarchy
from services.kms.keys.proofs import probe
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError
from services.kms.providers.aws import AwsProvider
from services.kms.providers.azure import AzureProvider
from services.kms.providers.gcp import GcpProvider
from services.kms.validation import CONFIG_FIELDS, Rules
from tests.fakes.kms_keys import CountingMeter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from services.kms.ports import WrappingKey

pytestmark = pytest.mark.live

PREFIX = "COFFER_LIVE"
TENANT = uuid.UUID(os.environ.get(f"{PREFIX}_TENANT_ID", str(uuid.UUID(int=0))))
"""Its issued external id is sent where the configuration has none, and policies may ask for it."""
PROVIDERS: dict[str, Callable[[CountingMeter], Any]] = {
    "aws": AwsProvider,
    "gcp": lambda meter: GcpProvider(meter, endpoints=GcpSettings(), principal=None),
    "azure": lambda meter: AzureProvider(
        meter,
        endpoints=AzureSettings(),
        application_id=os.environ.get("COFFER_KMS_AZURE_APPLICATION_ID"),
        environ=os.environ,
        rules=Rules(client_secret_env_vars={TENANT: frozenset(os.environ)}),
    ),
}
DERIVED: dict[str, Callable[[str], dict[str, str]]] = {
    "aws": lambda key_ref: {"region": key_ref.split(":")[3]},
    "gcp": lambda _key_ref: {},
    "azure": lambda key_ref: {"vault_url": f"https://{urlsplit(key_ref).netloc}"},
}


@pytest.fixture(params=PROVIDERS)
async def key(request: pytest.FixtureRequest) -> AsyncIterator[WrappingKey]:
    cloud: str = request.param
    key_ref = os.environ.get(f"{PREFIX}_{cloud.upper()}_KEY")
    if not key_ref:
        pytest.skip(f"{PREFIX}_{cloud.upper()}_KEY is not set")
    told = json.loads(os.environ.get(f"{PREFIX}_{cloud.upper()}_CONFIG", "{}"))
    config = dict.fromkeys(CONFIG_FIELDS[cloud]) | DERIVED[cloud](key_ref) | told
    provider = PROVIDERS[cloud](CountingMeter())
    yield provider.key(TENANT, KmsTarget(cloud, key_ref, config))
    closing = provider.close()
    if inspect.isawaitable(closing):
        await closing


async def test_a_real_key_passes_the_probe_and_names_itself(key: WrappingKey) -> None:
    proof = await probe(key, TENANT)
    assert proof.key_ref
    assert proof.wrap_ms > 0
    assert proof.unwrap_ms > 0


async def test_a_real_key_opens_what_it_wrapped_and_nothing_of_another_key(
    key: WrappingKey,
) -> None:
    facts, master_key = KeyFacts(TENANT, uuid.uuid4()), hierarchy.new_master_key()
    stored = hierarchy.check_value(master_key, facts.tenant_id, facts.key_id)
    wrapped = await key.wrap(facts, master_key)
    assert await key.unwrap(facts, wrapped) == master_key
    # The key id is what differs: a policy may refuse another tenant's context before anything is opened.
    other = KeyFacts(TENANT, uuid.uuid4())
    (outcome,) = await asyncio.gather(key.unwrap(other, wrapped), return_exceptions=True)
    if isinstance(outcome, bytes):
        assert not hierarchy.is_this_key(outcome, other.tenant_id, other.key_id, stored)
    else:
        assert isinstance(outcome, WrapError)
        assert outcome.reason is Reason.ROUNDTRIP_MISMATCH
