"""`kill -9` of each process in the middle of a rewrap: it ends complete by itself, nothing else moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.crash.throttle import throttled
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import RunningStack, running_stack
from tests.fixtures.tenant_user import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterator

VICTIMS = ("rewrap", "secrets", "kms", "postgres")
FEW, FEW_PER_SECOND = 2_000, 2_000
MANY, MANY_PER_SECOND = 20_000, 5_000
"""Rates so low that a kill hits the middle, on any machine."""
RECOVERY_SECONDS = 90.0
IMPATIENT = {
    "COFFER_REWRAP_DISPATCH_SECONDS": "0.5",
    "COFFER_REWRAP_HEARTBEAT_SECONDS": "0.3",
    "COFFER_REWRAP_STALLED_SECONDS": "1.5",
}
"""So that the short proof is short; the long one runs with an operator's defaults."""


class Vault:
    """An onboarded tenant with many secrets, and what must stay as it is about them."""

    def __init__(self, stack: RunningStack, keys: int, per_second: int) -> None:
        self.stack = stack
        self.tenant = stack.tenant()
        self.tenant.onboard(self.tenant.customer())
        self.values = {f"S{number:05}": f"value {number:05}" for number in range(keys)}
        self.tenant.create_all(self.values)
        assert self.tenant.ended_lease()["state"] == "completed"
        self.before = self.tenant.rows()
        self.per_second = per_second

    def lease_row(self, lease_id: int) -> tuple[str, int, int, int]:
        """State, done, total and fence as they are in the database."""
        query = "select state, done, coalesce(total, 0), fence from rewrap.lease where id = %s"
        state, done, total, fence = self.stack.rows(query, (lease_id,))[0]
        return state, done, total, fence

    def rotate_and_kill(self, victim: str) -> tuple[dict[str, Any], int]:
        """Rotate, kill the process in the middle, wait for the end. The reply and the lease's fence."""
        with throttled(self.stack, self.per_second):
            reply = self.tenant.rotate()
        lease_id = reply["rewrap_lease_id"]

        def half_way() -> bool:
            _, done, total, _ = self.lease_row(lease_id)
            return 0 < total // 4 <= done

        eventually(half_way, "the rewrap is well under way", every=0.01)
        _, done, total, _ = self.lease_row(lease_id)
        killed = self.stack.stack.kill(victim)
        assert 0 < done < total == len(self.values), "the kill missed the middle"
        self.stack.stack.wait_ready(victim, other_than=killed)
        eventually(
            lambda: self.ended(lease_id), f"the lease ends after {victim}", seconds=RECOVERY_SECONDS
        )
        return reply, self.lease_row(lease_id)[3]

    def ended(self, lease_id: int) -> bool:
        """Whether the lease has ended by the API, which may be down meanwhile."""
        try:
            answer = self.tenant.call("GET", f"/admin/tenant-kms/rewraps/{lease_id}")
        except httpx.TransportError:
            return False
        assert answer.status_code in {200, 503, 504}, answer.text
        return answer.status_code == 200 and answer.json()["state"] in ENDED

    def hold_to_what_was_promised(self, reply: dict[str, Any]) -> None:
        """Of one rewrap: complete, exactly counted, every key moved and nothing else."""
        lease = self.tenant.lease(reply["rewrap_lease_id"])
        assert (lease["state"], lease["failed"], lease["last_error"]) == ("completed", 0, None)
        assert lease["done"] + lease["skipped"] == lease["total"] == len(self.values)
        new = reply["new_version"]
        census = self.tenant.census()
        assert census.pop(new) == len(self.values)
        assert set(census.values()) == {0}
        assert self.stack.rows(
            "select key_version, count(*) from secrets.data_key where tenant_id = %s group by 1",
            (self.tenant.id,),
        ) == [(new, len(self.values))]
        assert self.tenant.rows() == self.before

    def hold_values(self, every: int = 1) -> None:
        """Each secret (or every n-th) opens with its own value."""
        wanted = dict(list(self.values.items())[::every])
        assert self.tenant.values(wanted) == wanted

    def hold_sums(self) -> None:
        """Over all leases of the tenant: moved as often as there were keys to move."""
        leases = self.tenant.get("/admin/tenant-kms/rewraps", per_page=100)["rewraps"]
        assert {lease["state"] for lease in leases} == {"completed"}
        assert sum(lease["done"] + lease["skipped"] for lease in leases) == sum(
            lease["total"] for lease in leases
        )


@pytest.mark.slow
def test_a_kill_of_any_process_in_the_middle_of_a_rewrap_loses_and_repeats_nothing() -> None:
    with running_stack(IMPATIENT) as stack:
        vault = Vault(stack, FEW, FEW_PER_SECOND)
        for victim in VICTIMS:
            reply, fence = vault.rotate_and_kill(victim)
            vault.hold_to_what_was_promised(reply)
            vault.hold_values(every=10)
            if victim == "rewrap":
                assert fence > 1, "the killed worker's lease was taken over"
        vault.hold_values()
        vault.hold_sums()


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with running_stack() as stack:
        yield Vault(stack, MANY, MANY_PER_SECOND)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_in_the_middle_of_20_000_keys_loses_and_repeats_nothing(
    vault: Vault, victim: str
) -> None:
    reply, _ = vault.rotate_and_kill(victim)
    vault.hold_to_what_was_promised(reply)
    vault.hold_values()
    vault.hold_sums()
