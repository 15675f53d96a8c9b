"""kill -9 of one process after the other, and of all at once, in one rewrap.

Each by itself is in `test_kill_during_rewrap.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.fixtures.eventually import eventually
from tests.fixtures.stack import RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.tenant_user import TenantUser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SOON = {
    "COFFER_REWRAP_BATCH": "50",
    "COFFER_REWRAP_STALLED_SECONDS": "1",
    "COFFER_REWRAP_HEARTBEAT_SECONDS": "0.2",
    "COFFER_REWRAP_DISPATCH_SECONDS": "0.5",
}
CANARY = "crash-canary-1f0c"
COUNT = 3_000
VICTIMS = ("kms", "rewrap", "postgres", "secrets")
REWRAP_SECONDS = 6
"""How long a rewrap is made to take, so that there is a middle."""


@dataclass
class Loaded:
    """A tenant with many secrets under its own key, and what must not change about them."""

    stack: RunningStack
    user: TenantUser
    values: dict[str, str]
    rows: dict[str, Any]
    ciphertexts: list[tuple[Any, ...]]

    def payloads(self) -> list[tuple[Any, ...]]:
        return self.stack.rows(
            "select secret_id, environment_id, value_version, data_key_id, sha256(value)"
            " from secrets.value_version where tenant_id = %s order by 1, 2, 3",
            (self.user.id,),
        )

    def progress(self, lease_id: int) -> int:
        query = "select done from rewrap.lease where tenant_id = %s and id = %s"
        return int(self.stack.rows(query, (self.user.id, lease_id))[0][0])


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with running_stack(SOON) as stack:
        user = stack.tenant()
        user.onboard(user.customer())
        user.ended_lease()
        values = {f"s{n}": f"{CANARY}-{n}" for n in range(COUNT)}
        user.create_all(values)
        made = Loaded(stack, user, values, user.rows(), [])
        made.ciphertexts = made.payloads()
        yield made


def begin_slowly(loaded: Loaded) -> int:
    """Rotate; the rewrap of it goes so slowly that it can be interrupted. Returns the lease's id."""
    worker = psutil.Process(loaded.stack.stack.pid("rewrap"))
    worker.suspend()
    try:
        lease: int = loaded.user.rotate()["rewrap_lease_id"]
        loaded.stack.execute(
            "update rewrap.lease set throttle_per_second = %(rate)s where id = %(id)s",
            rate=len(loaded.values) // REWRAP_SECONDS,
            id=lease,
        )
    finally:
        worker.resume()
    return lease


def check_complete(loaded: Loaded, lease_id: int) -> None:
    count = len(loaded.values)
    lease = loaded.user.ended_lease(lease_id, seconds=180)
    assert lease["state"] == "completed", lease
    # The counters are what really happened: no batch was lost, none counted twice.
    counted = {name: lease[name] for name in ("total", "done", "skipped", "failed")}
    assert counted == {"total": count, "done": count, "skipped": 0, "failed": 0}
    census = eventually(lambda: census_of(loaded.user), "the census can be read")
    newest = max(census)
    assert newest == lease["target_version"]
    assert census == dict.fromkeys(census, 0) | {newest: count}
    assert loaded.stack.rows(
        "select key_version, count(*) from secrets.data_key where tenant_id = %s group by 1",
        (loaded.user.id,),
    ) == [(newest, count)]
    assert loaded.payloads() == loaded.ciphertexts
    # value_version and updated_at among them.
    assert loaded.user.rows() == loaded.rows
    assert loaded.user.values(loaded.values) == loaded.values


def census_of(user: TenantUser) -> dict[int, int] | None:
    answer = user.call("GET", "/admin/tenant-kms")
    if answer.status_code != 200:
        return None
    return {key["version"]: key["data_keys"] for key in answer.json()["keys"]}


def test_a_rewrap_ends_complete_though_each_process_dies_in_it(loaded: Loaded) -> None:
    lease_id, stack = begin_slowly(loaded), loaded.stack.stack
    count = len(loaded.values)
    for number, victim in enumerate(VICTIMS):
        wanted = count * (number + 1) // (len(VICTIMS) + 2)
        reached = eventually(
            lambda wanted=wanted: done if (done := loaded.progress(lease_id)) >= wanted else None,  # type: ignore[misc]
            f"{wanted} keys are moved",
            seconds=120,
        )
        assert reached < count, "the rewrap ended before anybody was killed"
        killed = stack.kill(victim)
        stack.wait_ready(victim, other_than=killed)
    check_complete(loaded, lease_id)


def test_all_at_once_in_the_middle_of_a_rewrap(loaded: Loaded) -> None:
    lease_id, stack = begin_slowly(loaded), loaded.stack.stack
    third = len(loaded.values) // 3
    eventually(
        lambda: loaded.progress(lease_id) >= third, "a third of the keys is moved", seconds=120
    )
    killed = {victim: stack.kill(victim) for victim in (*VICTIMS, "gateway")}
    for victim, pid in killed.items():
        stack.wait_ready(victim, other_than=pid)
    check_complete(loaded, lease_id)


def test_no_value_was_written_to_a_log_in_all_of_this(loaded: Loaded) -> None:
    assert CANARY not in loaded.stack.logs()
