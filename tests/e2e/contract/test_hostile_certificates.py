"""A tenant that sends the dearest certificates there are, again and again, and its neighbours."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.contract import wire
from tests.fakes.certificates import issue
from tests.fuzz.hostile.building import locked_key, scrypt

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

PATH: Final = "/v1/secrets/certificate"
FLOOD: Final = 5
"""At once; each takes about half a second of processor time, and they get one reader."""
NEIGHBOUR_SECONDS: Final = 10.0
"""For six requests on a busy machine; behind the whole flood they would wait longer still."""


@pytest.mark.slow
def test_a_flood_of_dear_certificates_costs_the_other_tenants_nothing(
    stack: RunningStack, tenant: TenantUser
) -> None:
    hog, honest = stack.tenant(), issue()
    dear = {
        "name": "DEAR",
        "certificate_content": honest.pem,
        "private_key": locked_key(scrypt(2**18, 8, 1)),
        "passphrase": "not this one",
    }
    with ThreadPoolExecutor(FLOOD) as threads:
        flood: list[Future[httpx.Response]] = [
            threads.submit(hog.call, "POST", PATH, json=dear) for _ in range(FLOOD)
        ]
        wait(flood, return_when=FIRST_COMPLETED)
        began = time.monotonic()
        for number in range(3):
            tenant.create(f"STRING_{number}", "value")
            body = {"name": f"CERTIFICATE_{number}", "certificate_content": honest.pem}
            answer = tenant.call("POST", PATH, json=body | {"private_key": honest.key_pem})
            assert answer.status_code == 201, answer.text
        assert time.monotonic() - began < NEIGHBOUR_SECONDS
        assert not all(job.done() for job in flood), "there was no flood any more"
    for job in flood:
        answer = job.result()
        assert wire.error_of(answer, 400, "validation_error").get("reason") == "wrong_passphrase"
    assert hog.rows() == {}
