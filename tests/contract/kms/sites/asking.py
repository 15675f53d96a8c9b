"""What tests of one cloud alone wrap, and how they are refused."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import pytest

from services.kms.model import KeyFacts, WrapError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from services.kms.model import Reason
    from tests.contract.kms.sites.site import Site

MASTER_KEY: Final = bytes(range(32))
KEY_ID: Final = uuid.UUID(int=7)


def facts(site: Site) -> KeyFacts:
    """Of the site's tenant and the one key."""
    return KeyFacts(site.tenant, KEY_ID)


async def fails(call: Awaitable[object], reason: Reason) -> str:
    """Assert that it is refused for exactly this reason; the hint."""
    with pytest.raises(WrapError) as caught:
        await call
    assert caught.value.reason is reason, caught.value.hint
    return caught.value.hint
