"""The customer's role, assumed: one KMS client per tenant, role, external id and region.

boto3 is synchronous: everything here that does I/O is to be called in a thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

from services.common.clock import clock
from services.kms.providers.aws.identity import Identity

if TYPE_CHECKING:
    from uuid import UUID

    from types_boto3_kms import KMSClient
    from types_boto3_sts import STSClient

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 4.0
SESSION_NAME: Final = "coffer-kms"
SESSION_SECONDS: Final = 900
"""The shortest that AWS knows."""
REUSE_SECONDS: Final = 30.0
"""A session is used again for so long (by default), although it lives for 15 minutes: AWS honours a session
until its end, even after the customer took the trust policy away. kms takes this off the life of a key
(`Lifetimes`)."""
_MAX_CLIENTS: Final = 64
_BEFORE_EXPIRY: Final = 0.2
"""Part of a session's life, at its end, in which it is not used any more, however long it may be reused:
three minutes of the 15, far more than a call takes."""


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What a session is for. Without a role, the process's own identity is used as it is."""

    tenant_id: UUID
    role_arn: str | None
    external_id: str
    region: str


@dataclass(frozen=True, slots=True)
class Session:
    """A client with temporary credentials. `good_until` is of the clock that nobody sets back."""

    kms: KMSClient = field(repr=False)
    good_until: float

    @property
    def good(self) -> bool:
        """Whether to use it for another call."""
        return clock() < self.good_until


@dataclass(frozen=True, slots=True)
class _Ambient:
    """A client of the process's own identity, and what it signs with."""

    client: Any = field(repr=False)
    credentials: ReadOnlyCredentials = field(repr=False)


class SessionMaker:
    """Makes sessions with the process's ambient AWS identity (boto3's own chain)."""

    def __init__(
        self,
        *,
        sts_endpoint_url: str | None,
        kms_endpoint_url: str | None,
        reuse_seconds: float = REUSE_SECONDS,
    ) -> None:
        self._reuse_seconds = reuse_seconds
        self._sts_endpoint_url = sts_endpoint_url
        self._kms_endpoint_url = kms_endpoint_url
        self._config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            # The one retry is ours, and only where the first answer came quickly.
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=16,
        )
        # boto3's sessions are not thread-safe, its clients are.
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None
        self._identity = Identity()
        self._ambient: OrderedDict[tuple[str, str], _Ambient] = OrderedDict()

    def make(self, key: SessionKey) -> Session:
        """Assume the role. Takes a thread for as long as STS takes.

        Raises what boto3 raises, and NoIdentityError.
        """
        assert key.role_arn is not None
        sts: STSClient = self._ambient_client("sts", key.region, self._sts_endpoint_url)
        # Before the call: trust may be taken away right after AWS checked it.
        asked_at, date = clock(), datetime.now(UTC)
        answer = sts.assume_role(
            RoleArn=key.role_arn,
            RoleSessionName=SESSION_NAME,
            ExternalId=key.external_id,
            DurationSeconds=SESSION_SECONDS,
        )
        credentials = answer["Credentials"]
        # AWS tells the end as a date; its length is all that the date is needed for.
        seconds = (credentials["Expiration"] - date).total_seconds()
        signing = ReadOnlyCredentials(
            credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )
        with self._lock:
            client: KMSClient = self._client("kms", key.region, self._kms_endpoint_url, signing)
        use = min(self._reuse_seconds, seconds * (1 - _BEFORE_EXPIRY))
        return Session(client, asked_at + use)

    def own(self, region: str) -> KMSClient:
        """A client with the process's own identity, for one call. Raises NoIdentityError."""
        kms: KMSClient = self._ambient_client("kms", region, self._kms_endpoint_url)
        return kms

    def close(self) -> None:
        """Close the clients that use the process's own identity."""
        with self._lock:
            while self._ambient:
                self._ambient.popitem()[1].client.close()

    def _ambient_client(self, service: str, region: str, endpoint_url: str | None) -> Any:
        # Never the SDK's own way, a client that gets and renews credentials in mid-call: what goes wrong
        # there looks like the answer to the call, and a client that once found none never looks again.
        credentials = self._identity.credentials()
        with self._lock:
            known = self._ambient.pop((service, region), None)
            if known is not None and known.credentials != credentials:
                known.client.close()
                known = None
            if known is None:
                client = self._client(service, region, endpoint_url, credentials)
                known = _Ambient(client, credentials)
            self._ambient[service, region] = known
            # Regions come from tenants, and not every name that looks like one is one.
            while len(self._ambient) > _MAX_CLIENTS:
                self._ambient.popitem(last=False)[1].client.close()
            return known.client

    def _client(
        self, service: str, region: str, endpoint_url: str | None, signing: ReadOnlyCredentials
    ) -> Any:
        """A new client; to be called with the lock held."""
        if self._session is None:
            self._session = boto3.session.Session()
        make: Any = self._session.client
        return make(
            service,
            region_name=region,
            endpoint_url=endpoint_url,
            config=self._config,
            aws_access_key_id=signing.access_key,
            aws_secret_access_key=signing.secret_key,
            aws_session_token=signing.token,
        )
