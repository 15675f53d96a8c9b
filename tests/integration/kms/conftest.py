from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.aws.server import AwsServer
from tests.fakes.cloud_operators import be_operator_of_aws
from tests.fakes.kms_stand import KmsStand, running_kms
from tests.fixtures.cloud_sdk import one_reading_of_the_sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from devcloud.control import Control
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

__all__ = ["one_reading_of_the_sdk"]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """A stand-in cloud, and the operator's credentials in this process's environment."""
    with AwsServer.seeded() as server:
        be_operator_of_aws(monkeypatch, server)
        yield server


@pytest.fixture
def cloud(aws: AwsServer) -> Iterator[Control]:
    with aws.control() as control:
        yield control


@pytest.fixture
async def kms(database: TestDatabase, pki: TestPki, aws: AwsServer) -> AsyncIterator[KmsStand]:
    async with running_kms(database, pki, aws) as stand:
        yield stand
