"""One tenant and its key in one cloud, and what can be seen of both from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.common.errors import CofferError
from tests.e2e.contract import wire
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import CUSTOMER_TTL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.fixtures.key_owner import KeyOwner
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

KMS = "/admin/tenant-kms"
SEALED_SECONDS = CUSTOMER_TTL_SECONDS + 20
BACK_SECONDS = 30.0
KEY_TABLES = ("kms.key_ring", "kms.binding", "kms.master_key", "rewrap.lease", "audit.event")


@dataclass
class Life:
    """Stored values by name, and their rows as they were listed when they were stored."""

    tenant: TenantUser
    owner: KeyOwner
    values: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def new(cls, stack: RunningStack, provider: str) -> Life:
        """Before anything was done."""
        tenant = stack.tenant()
        return cls(tenant, tenant.customer_in(provider))

    def store(self, prefix: str, count: int = 4) -> None:
        """A few more values."""
        more = {f"{prefix}-{number}": f"{prefix} {number}" for number in range(count)}
        self.tenant.create_all(more)
        self._note(more)

    def _note(self, stored: Mapping[str, str]) -> None:
        self.values |= stored
        listed = self.tenant.rows()
        self.rows |= {name: listed[name] for name in stored}

    def hold_values(self) -> None:
        """Everything that was ever stored opens, and no row of it was touched."""
        assert self.tenant.values(self.values) == self.values
        assert self.tenant.rows() == self.rows

    def stored_keys(self) -> dict[str, list[tuple[Any, ...]]]:
        """What the tables about keys hold of the tenant."""
        query = "select t::text from {} t where tenant_id = %s order by 1"
        rows = self.tenant.stack.rows
        return {table: rows(query.format(table), (self.tenant.id,)) for table in KEY_TABLES}

    def status(self) -> Any:
        return self.tenant.get(KMS)

    def config(self) -> Any:
        return self.status()["config"]

    # What is refused

    def refusal(self) -> CofferError | None:
        """What reading a value is refused with; None when it is given out."""
        name, value = next(iter(self.values.items()))
        try:
            assert self.tenant.value(name) == value
        except CofferError as refused:
            return refused
        return None

    def write(self, name: str) -> httpx.Response:
        """Try to store a value that is its own name."""
        return self.tenant.call("POST", "/v1/secrets", json={"name": name, "value": name})

    def unseal(self) -> httpx.Response:
        return self.tenant.stepped_up("POST", f"{KMS}/unseal")

    def hold_sealed_within_the_ttl(self, reason: str) -> None:
        """Nothing asked for more than the TTL from now is done; then all that needs the key is refused.

        Reading ends first: for storing, secrets has data keys at hand, whose time ends with the TTL too.
        """
        since = last_success = time.monotonic()
        late: dict[str, str] = {}

        def sealed() -> tuple[CofferError, httpx.Response] | None:
            nonlocal last_success
            began = time.monotonic()
            read = self.refusal()
            written = self.write(f"late-{began}") if read else None
            if read and written and written.status_code != 201:
                return read, written
            last_success = began
            if written:
                late[f"late-{began}"] = f"late-{began}"
            return None

        read, written = eventually(sealed, "all is refused", seconds=SEALED_SECONDS)
        assert last_success - since < CUSTOMER_TTL_SECONDS
        assert read.code == "tenant_sealed"
        assert read.reason in (None, reason)
        assert (read.retry_after or 0) >= 1
        assert wire.error_of(written, 503, "tenant_sealed")["reason"] == reason
        assert int(written.headers["retry-after"]) >= 1
        # Requests are refused from the moment kms knows; that it is written down may take one more.
        since_shown = eventually(lambda: self.config()["sealed_since"], "it is shown as sealed")
        assert wire.TIME.fullmatch(since_shown)
        assert self.config()["last_verify_error"] == reason
        # Metadata needs no key.
        self._note(late)
        assert self.tenant.rows() == self.rows

    def hold_back(self) -> None:
        """Reading comes back by itself."""
        eventually(lambda: self.refusal() is None, "reading works again", seconds=BACK_SECONDS)
        config = self.config()
        assert (config["sealed_since"], config["last_verify_error"]) == (None, None)

    def left(self) -> bool:
        """Whether no key is connected any more."""
        answer = self.tenant.call("GET", KMS)
        if answer.status_code == 404:
            wire.error_of(answer, 404, "no_kms_config")
        return answer.status_code == 404
