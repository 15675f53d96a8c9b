"""A tenant with as many data keys as wanted, in seconds: real keys of kms, real sealed values, by COPY.

They are the value versions of one secret that was stored through the API. kms mints and wraps each key
(GenerateDataKeys); this process seals a value under each and copies the rows into the tables, as the
superuser, with the triggers of foreign keys off: the rows are right by what makes them.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg
import uvloop
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from benchmarks.children import answer, read_order
from services.common import envelope
from services.common.envelope import FieldFacts
from services.common.rpc.channel import open_channel
from services.common.settings import TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Rows = list[tuple[UUID, int, bytes, bytes]]

CALL_SECONDS: Final = 30.0
A_CALL: Final = 256
IN_FLIGHT: Final = 4
A_COPY: Final = 64 * 1024 * 1024
"""Bytes of values that are copied at a time, about."""

KEYS: Final = (
    "copy secrets.data_key (tenant_id, id, key_version, wrapped) from stdin (format binary)"
)
VALUES: Final = """
copy secrets.value_version (tenant_id, secret_id, environment_id, value_version, data_key_id, value,
    created_at) from stdin (format binary)
"""


async def minted(order: dict[str, Any], count: int) -> AsyncIterator[Any]:
    """Replies of kms with `count` data keys in all."""
    files = TlsFiles(*(Path(order[name]) for name in ("cert_file", "key_file", "ca_file")))
    async with open_channel(order["target"], files) as channel:
        stub: Any = kms_pb2_grpc.KmsServiceStub(channel)
        waiting: deque[Any] = deque()
        while count or waiting:
            while count and len(waiting) < IN_FLIGHT:
                some = min(A_CALL, count)
                count -= some
                request = kms_pb2.GenerateDataKeysRequest(tenant_id=order["tenant_id"], count=some)
                waiting.append(stub.GenerateDataKeys(request, timeout=CALL_SECONDS))
            yield await waiting.popleft()


async def fill(order: dict[str, Any]) -> None:
    """Versions 2 to `count` of the secret `secret_id`, each of `value_bytes`."""
    tenant_id, secret_id = UUID(order["tenant_id"]), UUID(order["secret_id"])
    value, version, size = b"v" * order["value_bytes"], 1, 0
    with psycopg.connect(order["dsn"]) as connection:
        connection.execute("set session_replication_role = replica")
        row = connection.execute(
            "select environment_id from secrets.secret_environment"
            " where tenant_id = %s and secret_id = %s",
            (tenant_id, secret_id),
        ).fetchone()
        assert row is not None
        rows: Rows = []
        async for reply in minted(order, order["count"] - 1):
            for key in reply.data_keys:
                version += 1
                key_id = UUID(bytes=key.id)
                facts = FieldFacts(tenant_id, secret_id, row[0], version, key_id)
                sealed = envelope.seal(key.plaintext, facts, "value", value)
                rows.append((key_id, reply.key_version, key.wrapped, sealed))
                size += len(sealed)
            if size > A_COPY:
                _copy(connection, tenant_id, secret_id, row[0], version, rows)
                rows, size = [], 0
        _copy(connection, tenant_id, secret_id, row[0], version, rows)
        connection.execute(
            "update secrets.secret_environment set value_version = %s"
            " where tenant_id = %s and secret_id = %s",
            (version, tenant_id, secret_id),
        )


def _copy(  # noqa: PLR0917 - where the rows belong
    connection: psycopg.Connection[Any],
    tenant_id: UUID,
    secret_id: UUID,
    environment_id: UUID,
    last: int,
    rows: Rows,
) -> None:
    with connection.cursor().copy(KEYS.encode()) as copy:
        copy.set_types(["uuid", "uuid", "int8", "bytea"])
        for key_id, key_version, wrapped, _ in rows:
            copy.write_row((tenant_id, key_id, key_version, wrapped))
    now = datetime.now(UTC)
    with connection.cursor().copy(VALUES.encode()) as copy:
        copy.set_types(["uuid", "uuid", "uuid", "int8", "uuid", "bytea", "timestamptz"])
        for version, (key_id, _, _, sealed) in enumerate(rows, last - len(rows) + 1):
            place = (tenant_id, secret_id, environment_id, version, key_id)
            copy.write_row((*place, sealed, now))


if __name__ == "__main__":
    uvloop.run(fill(read_order()))
    answer({})
