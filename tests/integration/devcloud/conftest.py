from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.aws.server import AwsServer
from tests.integration.devcloud.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stand() -> Iterator[Stand]:
    with AwsServer.seeded(external_id="coffer-tenant-1") as server, server.control() as control:
        stand = Stand(server.url, server.announcement(), control)
        yield stand
        stand.close()
