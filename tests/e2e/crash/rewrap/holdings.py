"""A tenant that owns much, made quickly and with real keys; and all that a rewrap promises about it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
import psycopg
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from cli.rewraps.reporting import verify
from services.common.audit_chain import first_broken
from services.common.envelope import FieldFacts, seal
from services.common.rpc.status import from_rpc_error
from tests.fixtures.eventually import eventually
from tests.fixtures.tenant_user import ENDED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import httpx

    from devcloud.aws.seed import Customer
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

KEYS_PER_CALL = 256
VALUES_PER_CALL = 100
CALL_SECONDS = 30.0
PATIENCE_SECONDS = 90.0
"""For a lease that must end by itself, on a machine that does much else."""

_FACTS = """
select secret_id, environment_id, value_version, data_key_id, sha256(value), created_at
from secrets.value_version where tenant_id = %s order by 1, 2, 3
"""
_TIMES = """
select secret_id, environment_id, value_version, updated_at
from secrets.secret_environment where tenant_id = %s order by 1, 2
"""


@dataclass
class Holdings:
    """A tenant's secrets by name, and what of their rows may never change."""

    user: TenantUser
    customer: Customer
    values: dict[str, str] = field(default_factory=dict, repr=False)
    before: list[list[tuple[Any, ...]]] = field(default_factory=list, repr=False)

    @property
    def stack(self) -> RunningStack:
        return self.user.stack

    @property
    def count(self) -> int:
        return len(self.values)

    def add(self, count: int) -> list[UUID]:
        """So many more secrets, each with a data key of kms's own; the data keys' ids."""
        first = self.user.create(f"first-{self.count}", "the first value")
        self.values[first["name"]] = "the first value"
        keys = self._data_keys(count - 1)
        base = self.stack.rows(
            "select base_environment_id from secrets.secret where tenant_id = %s limit 1",
            (self.user.id,),
        )[0][0]
        self._store(keys, base)
        self.before = self._unchanging()
        return [uuid.UUID(bytes=key.id) for key in keys]

    # What was promised

    def ended(self, lease_id: int) -> Any:
        """The lease once it has ended by itself, whatever answers meanwhile."""

        def look() -> Any:
            row = self.lease_row(lease_id)
            return row if row and row["state"] in ENDED else None

        return eventually(look, f"lease {lease_id} ends", seconds=PATIENCE_SECONDS)

    def reached(self, lease_id: int, done: int) -> int:
        """How many keys are moved, once it is so many."""

        def look() -> int | None:
            row = self.lease_row(lease_id)
            return row["done"] if row and row["done"] >= done else None

        return eventually(look, f"{done} keys are moved", seconds=PATIENCE_SECONDS)

    def lease_row(self, lease_id: int) -> dict[str, Any] | None:
        """The lease as it is stored; None while the database is down."""
        names = (
            "state", "total", "done", "skipped", "failed", "failed_ids", "fence", "target_version",
            "last_error", "finished_at", "started_at", "verified", "attempts",
        )  # fmt: skip
        query = f"select {', '.join(names)} from rewrap.lease where tenant_id = %s and id = %s"
        try:
            rows = self.stack.rows(query, (self.user.id, lease_id))
        except psycopg.OperationalError:
            return None
        return dict(zip(names, rows[0], strict=True))

    def assert_completed(self, lease_id: int, *, total: int | None = None) -> None:
        """Everything that holds of a rewrap that ended well."""
        lease = self.ended(lease_id)
        total = self.count if total is None else total
        assert (lease["state"], lease["failed"], lease["last_error"]) == ("completed", 0, None)
        assert lease["total"] == total
        # Nothing else changes these keys: each was moved by this lease, and once.
        assert (lease["done"], lease["skipped"]) == (total, 0)
        self.assert_moved(lease["target_version"])
        self.assert_untouched()
        self.assert_opens()
        assert lease["verified"] == self.count
        self.assert_recorded(lease_id, "rewrap.completed")
        self.assert_reported(lease_id, lease)

    def assert_moved(self, target: int) -> None:
        """Every key is under the target, and the API says the same."""
        assert self.versions() == {target: self.count}
        census = eventually(self.census, "the census can be read", seconds=PATIENCE_SECONDS)
        assert census.pop(target) == self.count
        assert set(census.values()) <= {0}

    def assert_no_foreign_version(self) -> None:
        """No data key names a version that the tenant never had, in its row or in its bytes."""
        odd = self.stack.rows(
            "select d.id, d.key_version from secrets.data_key d where d.tenant_id = %s"
            " and (not exists (select from kms.master_key k where k.tenant_id = d.tenant_id"
            "                  and k.version = d.key_version)"
            " or substr(d.wrapped, 1, 8) <> 'KCT1'::bytea || int4send(d.key_version::int))",
            (self.user.id,),
        )
        assert odd == []

    def assert_untouched(self) -> None:
        """Ciphertexts, value versions and times are as they were, and no key names a version that is none."""
        assert self._unchanging() == self.before
        self.assert_no_foreign_version()

    def picture(self) -> list[list[tuple[Any, ...]]]:
        """All that a rewrap may write of this tenant, to be compared."""
        return [
            self.stack.rows(
                f"select * from {table} where tenant_id = %s order by 2, 3", (self.user.id,)
            )
            for table in ("rewrap.lease", "rewrap.lane", "secrets.data_key")
        ]

    def assert_opens(self, every: int = 1) -> None:
        """Every secret (or every n-th) opens with its own value, by the consumer's door."""
        names = list(self.values)[::every]
        assert self.open(names) == {name: self.values[name] for name in names}

    def assert_recorded(self, lease_id: int, action: str) -> None:
        """The lease's start and its end are in the audit chain once each, and the chain is whole."""
        events = self.stack.audit(self.user.id)
        assert first_broken(events) is None
        told = [
            event.action
            for event in events
            if event.action.startswith("rewrap.")
            and event.resource_id == str(lease_id)
            and event.action not in {"rewrap.requested", "rewrap.report.signed"}
        ]
        assert told == ["rewrap.started", action]

    def assert_reported(self, lease_id: int, lease: dict[str, Any]) -> None:
        """The signed report can be fetched, and says what the lease says."""
        path = f"/admin/tenant-kms/rewraps/{lease_id}/report"

        def look() -> httpx.Response | None:
            answer = self.user.call("GET", path)
            return None if answer.status_code in {503, 504} else answer

        answer = eventually(look, "the report can be fetched", seconds=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        keys = self.stack.http.get("/.well-known/coffer-signing-keys").json()
        said = verify(answer.text, keys).statement
        names = ("state", "total", "done", "skipped", "failed", "verified")
        assert [said[name] for name in names] == [lease[name] for name in names]
        assert said["census_after"] == {
            "versions": [{"version": lease["target_version"], "data_keys": self.count}]
        }

    def versions(self) -> dict[int, int]:
        """How many data keys there are under each version, as stored."""
        rows = self.stack.rows(
            "select key_version, count(*) from secrets.data_key where tenant_id = %s group by 1",
            (self.user.id,),
        )
        return dict(rows)

    def census(self) -> dict[int, int] | None:
        """By the API; None while it is down."""
        answer = self.user.call("GET", "/admin/tenant-kms")
        if answer.status_code != 200:
            return None
        return {key["version"]: key["data_keys"] for key in answer.json()["keys"]}

    def open(self, names: Sequence[str]) -> dict[str, str]:
        """The values of many, a hundred in a call; who is starting again is waited for."""
        found: dict[str, str] = {}
        for at in range(0, len(names), VALUES_PER_CALL):
            part = names[at : at + VALUES_PER_CALL]
            reply = eventually(
                partial(self._answered, part), "values are served", seconds=PATIENCE_SECONDS
            )
            for name, result in zip(part, reply.results, strict=True):
                assert result.HasField("secret"), (name, result.error)
                found[name] = result.secret.value
        return found

    def _answered(self, names: Sequence[str]) -> secrets_pb2.BatchAccessSecretsResponse | None:
        """None while a service is unavailable, which is told of each value."""
        stub = secrets_pb2_grpc.SecretsServiceStub(self.stack.channel("consumer/dev"))
        request = secrets_pb2.BatchAccessSecretsRequest(tenant_id=self.user.id)
        for name in names:
            request.items.add(name=name)
        reply: secrets_pb2.BatchAccessSecretsResponse = stub.BatchAccessSecrets(
            request, timeout=CALL_SECONDS, wait_for_ready=True
        )
        unavailable = grpc.StatusCode.UNAVAILABLE.value[0]
        return None if any(one.error.code == unavailable for one in reply.results) else reply

    # How it is made

    def _data_keys(self, count: int) -> list[kms_pb2.GenerateDataKeysResponse.DataKey]:
        stub = kms_pb2_grpc.KmsServiceStub(self.stack.channel("secrets", "kms"))
        keys: list[kms_pb2.GenerateDataKeysResponse.DataKey] = []
        try:
            while len(keys) < count:
                reply = stub.GenerateDataKeys(
                    kms_pb2.GenerateDataKeysRequest(
                        tenant_id=self.user.id, count=min(KEYS_PER_CALL, count - len(keys))
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                )
                keys.extend(reply.data_keys)
        except grpc.RpcError as error:
            raise from_rpc_error(cast("grpc.aio.AioRpcError", error)) from None
        return keys

    def _store(
        self, keys: Sequence[kms_pb2.GenerateDataKeysResponse.DataKey], environment: UUID
    ) -> None:
        tenant = uuid.UUID(self.user.id)
        rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COPIES}
        at = self.count
        for number, key in enumerate(keys):
            name, value = f"s{at + number}", f"value {at + number} of {self.user.slug}"
            secret, key_id = uuid.uuid4(), uuid.UUID(bytes=key.id)
            facts = FieldFacts(tenant, secret, environment, 1, key_id)
            sealed = seal(key.plaintext, facts, "value", value.encode())
            rows["secret"].append(
                (tenant, secret, name, "string", environment, _LONG_AGO, _LONG_AGO)
            )
            rows["secret_environment"].append((tenant, secret, environment, 1, _LONG_AGO))
            version = int.from_bytes(key.wrapped[4:8], "big")
            rows["data_key"].append((tenant, key_id, version, key.wrapped))
            rows["value_version"].append(
                (tenant, secret, environment, 1, key_id, sealed, _LONG_AGO)
            )
            self.values[name] = value
        with psycopg.connect(self.stack.stack.admin_dsn) as connection:
            for table, columns in _COPIES.items():
                statement = f"copy secrets.{table} (tenant_id, {columns}) from stdin"
                with connection.cursor().copy(statement.encode()) as copy:
                    for row in rows[table]:
                        copy.write_row(row)
            connection.execute(
                "update secrets.usage set live_secrets = live_secrets + %s where tenant_id = %s",
                (len(keys), tenant),
            )

    def _unchanging(self) -> list[list[tuple[Any, ...]]]:
        return [self.stack.rows(query, (self.user.id,)) for query in (_FACTS, _TIMES)]


_LONG_AGO = "2020-02-02 02:02:02.222222+00"
_COPIES = {
    "secret": "id, name, secret_type, base_environment_id, created_at, updated_at",
    "secret_environment": "secret_id, environment_id, value_version, updated_at",
    "data_key": "id, key_version, wrapped",
    "value_version": "secret_id, environment_id, value_version, data_key_id, value, created_at",
}


def new_holdings(stack: RunningStack, count: int) -> Holdings:
    """A new tenant with a key of its own in the stand-in of AWS, and so many secrets under it."""
    user = stack.tenant()
    customer = user.customer()
    user.onboard(customer)
    assert user.ended_lease()["state"] == "completed"
    made = Holdings(user, customer)
    made.add(count)
    return made
