"""A stack whose own rewrap process leaves the work to others, and one tenant with many data keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.crash.rewrap.holdings import Holdings, new_holdings
from tests.e2e.crash.throttle import throttled
from tests.e2e.hosts.hosts import host, worker_targets
from tests.fixtures.stack import RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.e2e.hosts.hosts import Host

KEYS = 20_000
WORKER = {
    "COFFER_REWRAP_WORKER": "true",
    "COFFER_REWRAP_BATCH": "250",
    "COFFER_REWRAP_LANES": "2",
    "COFFER_REWRAP_DISPATCH_SECONDS": "0.3",
    "COFFER_REWRAP_HEARTBEAT_SECONDS": "0.2",
    "COFFER_REWRAP_STALLED_SECONDS": "1.5",
    "COFFER_REWRAP_VERIFY_SAMPLE": "1000",
}
"""Many small batches, deaths that are noticed soon, and not much done besides moving keys."""


@dataclass
class House:
    """The stack, what its tenant owns, and the way to more hosts for it."""

    stack: RunningStack
    holdings: Holdings = field(repr=False)

    def rotate(self, per_second: int | None = None) -> int:
        """The id of a lease for all keys, held to so many a second before anybody can take it."""
        if per_second is None:
            return int(self.holdings.user.rotate()["rewrap_lease_id"])
        with throttled(self.stack, per_second):
            return int(self.holdings.user.rotate()["rewrap_lease_id"])

    def done(self, lease_id: int) -> int:
        """How many keys the lease says have moved."""
        row = self.holdings.lease_row(lease_id)
        return int(row["done"]) if row else 0


def worker(
    stack: RunningStack, folder: Path, secrets: str | None = None, **options: Any
) -> AbstractContextManager[Host]:
    """A host that rewraps, as `host` makes it; it is told the stack's secrets if no other."""
    address = stack.stack.address
    targets = worker_targets(secrets or address("secrets"), address("kms"))
    return host(stack, folder, "rewrap", targets, settings=WORKER, **options)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all of them: each rotates once more. No process of it takes a lease by itself."""
    own = {**WORKER, "COFFER_REWRAP_WORKER": "false"}
    folder = tmp_path_factory.mktemp("first")
    with running_stack(own) as stack:
        with worker(stack, folder / "host") as first:  # for the lease of the onboarding
            first.start()
            holdings = new_holdings(stack, KEYS)
        yield House(stack, holdings)
