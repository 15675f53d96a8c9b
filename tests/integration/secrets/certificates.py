"""Certificates that a client stores and renews, and the moments at which they expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import secrets_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fakes import certificates

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client

NOW = datetime.now(UTC).replace(microsecond=0)
SOON, LATER, LATEST = (NOW + timedelta(days=days) for days in (10, 100, 1000))
PAST = NOW - timedelta(days=1)


def issued(not_after: datetime) -> certificates.Issued:
    return certificates.issue(not_before=NOW - timedelta(days=900), not_after=not_after)


def stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def moment(message: Any, field: str = "expires_at") -> datetime | None:
    found: datetime = getattr(message, field).ToDatetime(UTC)
    return found if message.HasField(field) else None


async def store(client: Client, name: str, not_after: datetime, **fields: Any) -> Any:
    content = issued(not_after).pem
    request = secrets_pb2.CreateCertificateRequest(
        name=name, certificate_content=content, **fields
    )  # fmt: skip
    return await client.call("CreateCertificate", request)


async def renew(client: Client, secret_id: str, not_after: datetime, **fields: Any) -> Any:
    content = issued(not_after).pem
    request = secrets_pb2.PutSecretValueRequest(
        id=secret_id, certificate_content=content, **fields
    )  # fmt: skip
    return await client.call("PutSecretValue", request)
