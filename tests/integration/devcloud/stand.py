"""A running stand-in with the real boto3 clients of everybody involved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_kms import KMSClient
    from types_boto3_sts import STSClient

    from devcloud.control import Control

CONTEXT = {"tenant": "t1", "key": "k1"}


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key_id: str
    secret_access_key: str
    token: str | None = None


@dataclass(slots=True)
class Stand:
    """Clients are closed with the stand."""

    url: str
    info: dict[str, Any]
    control: Control
    _session: boto3.session.Session = field(default_factory=boto3.session.Session)
    _open: list[Any] = field(default_factory=list)

    @property
    def key(self) -> str:
        return str(self.info["aws_key_arn"])

    @property
    def role(self) -> str:
        return str(self.info["aws_role_arn"])

    @property
    def operator(self) -> Credentials:
        return Credentials(self.info["aws_access_key_id"], self.info["aws_secret_access_key"])

    @property
    def owner(self) -> Credentials:
        return Credentials(
            self.info["aws_customer_access_key_id"], self.info["aws_customer_secret_access_key"]
        )

    def assume(self, seconds: int = 900, **changes: str) -> Credentials:
        wanted = {
            "RoleArn": self.role,
            "ExternalId": self.info["aws_external_id"],
            "RoleSessionName": "coffer",
            **changes,
        }
        given = self.sts().assume_role(**wanted, DurationSeconds=seconds)["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def sts(self, credentials: Credentials | None = None, **config: Any) -> STSClient:
        client: STSClient = self._client("sts", credentials or self.operator, None, config)
        return client

    def kms(
        self, credentials: Credentials | None = None, region: str | None = None, **config: Any
    ) -> KMSClient:
        """By default the customer's role assumed by the operator."""
        client: KMSClient = self._client("kms", credentials or self.assume(), region, config)
        return client

    def close(self) -> None:
        for client in self._open:
            client.close()

    def _client(
        self, service: str, credentials: Credentials, region: str | None, config: dict[str, Any]
    ) -> Any:
        settings = {
            "connect_timeout": 5,
            "read_timeout": 20,
            "max_pool_connections": 16,
            # The first attempt counts here, unlike in "max_attempts".
            "retries": {"mode": "standard", "total_max_attempts": 1},
            **config,
        }
        make: Callable[..., Any] = self._session.client
        client = make(
            service,
            region_name=region or self.info["aws_region"],
            endpoint_url=self.url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.token,
            config=Config(**settings),
        )
        self._open.append(client)
        return client


def refused(code: str, call: Callable[..., Any], **members: Any) -> ClientError:
    """Assert that the SDK reports exactly this error code."""
    with pytest.raises(ClientError) as caught:
        call(**members)
    found = caught.value.response["Error"]["Code"]
    assert found == code, f"{found} instead of {code}"
    return caught.value
