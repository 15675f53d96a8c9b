"""A worker in a network of its own reaches the rest by cable; when that is cut, the others go on.

The cut is one that nobody is told of: no connection is closed, packets just do not arrive.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.hosts.conftest import KEYS, House, worker
from tests.e2e.hosts.hosts import Place, host
from tests.e2e.hosts.networks import network, why_not
from tests.e2e.hosts.test_many_workers import PER_SECOND, hold_to_what_was_promised
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.hosts.hosts import Host
    from tests.e2e.hosts.networks import Network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def far(house: House, tmp_path: Path) -> Iterator[tuple[Host, Network]]:
    """A worker behind a cable, and a copy of secrets that listens at our end of it."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with ExitStack() as undo:
        cable = undo.enter_context(network())
        secrets = undo.enter_context(
            host(
                house.stack,
                tmp_path / "secrets",
                "secrets",
                {"COFFER_SECRETS_KMS_TARGET": house.stack.stack.address("kms")},
                place=Place(cable.ours),
            )
        )
        secrets.start()
        address = secrets.environment["COFFER_SECRETS_LISTEN"]
        place = Place(cable.theirs, cable.within)
        made = undo.enter_context(worker(house.stack, tmp_path / "far", address, place=place))
        made.start()
        yield made, cable


def test_a_worker_in_a_network_of_its_own_does_its_part(
    house: House, far: tuple[Host, Network], tmp_path: Path
) -> None:
    there, _ = far
    with worker(house.stack, tmp_path / "near") as here:
        here.start()
        hold_to_what_was_promised(house, house.rotate(PER_SECOND))
        assert min(there.moved(), here.moved()) > KEYS // 10
        assert there.moved() + here.moved() == KEYS


def test_a_worker_that_is_cut_off_does_not_keep_the_lease_from_the_others(
    house: House, far: tuple[Host, Network], tmp_path: Path
) -> None:
    there, cable = far
    with worker(house.stack, tmp_path / "near") as here:
        here.start()
        lease_id = house.rotate(PER_SECOND)
        eventually(lambda: min(there.moved(), here.moved()) > 0, "both are at work")
        cable.cut()
        assert house.done(lease_id) < KEYS, "the cut missed the middle"
        hold_to_what_was_promised(house, lease_id)
        cable.mend()
