"""A limit is one limit, and a revocation one revocation, whichever gateway and service a request meets."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from cli import tenancy
from cli.local.demo_tenant import SCOPES
from cli.local.pki import DevelopmentPki
from cli.local.services import (
    GATEWAY,
    PORT_NAMES,
    SECRETS,
    SERVICES,
    StackFacts,
    service_environment,
)
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

ANY_PORT = "127.0.0.1:0"
LIMIT = 40
CALLS = 100
AT_ONCE = 16


@pytest.fixture
def second(stack: RunningStack, tmp_path: Path) -> Iterator[httpx.Client]:
    """A gateway and a secrets service beside those of the stack, as a second machine would run them."""
    with contextlib.ExitStack() as processes:
        addresses = dict.fromkeys(PORT_NAMES, ANY_PORT)
        addresses |= {name: stack.stack.address(name) for name in SERVICES}
        for name, module in ((SECRETS, "services.secrets"), (GATEWAY, "gateway")):
            addresses[name] = ANY_PORT
            addresses[name] = processes.enter_context(
                running(stack, name, module, addresses, tmp_path)
            )
        url = f"http://{addresses[GATEWAY]}"
        with httpx.Client(base_url=url, timeout=40, trust_env=False) as client:
            yield client


@contextlib.contextmanager
def running(
    stack: RunningStack, name: str, module: str, addresses: dict[str, str], folder: Path
) -> Iterator[str]:
    """One process more; gives where it listens."""
    facts = StackFacts(
        directory=stack.stack.directory,
        keys=stack.stack.keys,
        addresses=addresses,
        identities=DevelopmentPki(stack.stack.directory.pki).identities(SERVICES),
        cloud=None,
        overrides={},
        operator={},
    )
    ready = folder / f"{name}.json"
    environment = os.environ | service_environment(name, facts)
    environment[f"COFFER_{name.upper()}_READY_FILE"] = str(ready)
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        eventually(ready.exists, f"the second {name} is ready")
        yield str(json.loads(ready.read_text())["listen"])
    finally:
        process.terminate()
        process.wait(30)


def test_a_limit_and_a_revocation_hold_across_gateways_and_services(
    stack: RunningStack, tenant: TenantUser, second: httpx.Client
) -> None:
    dsn = stack.stack.admin_dsn
    key = tenancy.create_api_key(dsn, tenant.id, "shared", SCOPES, rate_limit=LIMIT)
    fronts = (stack.http, second)

    def call(number: int) -> httpx.Response:
        return fronts[number % 2].get("/v1/account", headers={"x-api-key": key})

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(call, range(CALLS)))
    allowed = [answer for answer in answers if answer.status_code == 200]
    assert len(allowed) == LIMIT
    remaining = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in allowed)
    assert remaining == list(range(LIMIT))
    refused = [answer for answer in answers if answer not in allowed]
    assert {answer.status_code for answer in refused} == {429}
    for front in range(2):
        assert any(answer.status_code == 200 for answer in answers[front::2])

    made = tenant.call("POST", "/v1/api-keys", json={"name": "short"}).json()["data"]
    headers = {"x-api-key": made["api_key"]}
    assert [front.get("/v1/account", headers=headers).status_code for front in fronts] == [200] * 2
    assert tenant.call("DELETE", f"/v1/api-keys/{made['key_id']}").status_code == 200
    assert [front.get("/v1/account", headers=headers).status_code for front in fronts] == [401] * 2
