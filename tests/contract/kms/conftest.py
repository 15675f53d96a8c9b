"""The sites that the tests of all clouds get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.kms.sites.clouds import CLOUDS
from tests.fixtures.cloud_sdk import one_reading_of_the_sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.contract.kms.sites.site import MakeSite, Site


__all__ = ["one_reading_of_the_sdk"]


@pytest.fixture(scope="module", params=CLOUDS)
def make(request: pytest.FixtureRequest) -> Iterator[MakeSite]:
    """Makes sites in one cloud; its stand-in serves a whole module of tests."""
    with CLOUDS[request.param]() as make_site:
        yield make_site


@pytest.fixture
async def site(make: MakeSite) -> AsyncIterator[Site]:
    """A tenant with a key that works, and a provider that nobody else uses."""
    made = make()
    yield made
    await made.close()
