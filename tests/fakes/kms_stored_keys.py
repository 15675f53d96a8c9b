"""Data keys of a tenant as secrets stores them and a rewrap moves them, without either service."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from coffer.kms.v1 import kms_pb2

if TYPE_CHECKING:
    from uuid import UUID

    from tests.fakes.kms_stand import KmsStand

PER_CALL = 256
_WRAPPED = 68


@dataclass
class StoredKeys:
    """What is stored can be read again: `plain` is what each data key must open to."""

    kms: KmsStand
    tenant: UUID
    plain: dict[bytes, bytes] = field(default_factory=dict)

    async def add(self, count: int) -> None:
        """Store so many more under the version that is active now."""
        while count:
            made = await self.kms.generate(self.tenant, min(count, PER_CALL))
            count -= len(made.data_keys)
            rows = [
                (self.tenant, uuid.UUID(bytes=key.id), made.key_version, key.wrapped)
                for key in made.data_keys
            ]
            with psycopg.connect(self.kms.database.admin_dsn) as connection:
                connection.cursor().executemany(
                    "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
                    " values (%s, %s, %s, %s)",
                    rows,
                )
            self.plain |= {key.id: key.plaintext for key in made.data_keys}

    async def rewrap(self, limit: int = 1_000) -> int:
        """Move at most so many to the active version, as one batch of a rewrap does; how many."""
        stale = self._rows(
            "select d.id, d.wrapped from secrets.data_key d join kms.master_key k"
            " on k.tenant_id = d.tenant_id and k.version = d.key_version"
            f" where d.tenant_id = %s and k.status = 'retired' order by d.id limit {limit}"
        )
        if not stale:
            return 0
        packed = b"".join(key_id.bytes + wrapped for key_id, wrapped in stale)
        done = await self.kms.rewrap(self.tenant, packed)
        assert not done.failures
        moved = [
            (
                done.key_version,
                done.packed[at * _WRAPPED : (at + 1) * _WRAPPED],
                self.tenant,
                row[0],
            )
            for at, row in enumerate(stale)
        ]
        with psycopg.connect(self.kms.database.admin_dsn) as connection:
            connection.cursor().executemany(
                "update secrets.data_key set key_version = %s, wrapped = %s"
                " where tenant_id = %s and id = %s",
                moved,
            )
        return len(moved)

    async def rewrap_all(self) -> None:
        """Until nothing is stale."""
        while await self.rewrap():
            pass

    async def hold_open(self, count: int = 1_000_000) -> None:
        """Each (or so many of them) opens to what it was made as."""
        rows = self._rows(
            "select id, wrapped from secrets.data_key where tenant_id = %s"
            f" order by random() limit {count}"
        )
        for at in range(0, len(rows), 1_000):
            part = rows[at : at + 1_000]
            opened = await self.kms.unwrap(self.tenant, *((one.bytes, wrap) for one, wrap in part))
            for (key_id, _), result in zip(part, opened.results, strict=True):
                assert result.plaintext == self.plain[key_id.bytes], result.fault

    async def sealed(self) -> bool:
        """Whether none of them can be opened at present because of its wrapping key."""
        rows = self._rows("select id, wrapped from secrets.data_key where tenant_id = %s limit 10")
        opened = await self.kms.unwrap(self.tenant, *((one.bytes, wrap) for one, wrap in rows))
        return {result.fault for result in opened.results} == {kms_pb2.DATA_KEY_FAULT_SEALED}

    def _rows(self, query: str) -> list[tuple[UUID, bytes]]:
        return self.kms.database.rows(query, (self.tenant,))  # type: ignore[return-value]
