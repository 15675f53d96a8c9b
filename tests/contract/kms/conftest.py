from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.aws.server import AwsServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """A stand-in cloud, and the operator's credentials in this process's environment."""
    with AwsServer.seeded() as server:
        told = server.announcement()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", told["aws_access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", told["aws_secret_access_key"])
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)
        yield server
