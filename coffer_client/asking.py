"""What one call says beside its message: whose it is, by which key, and what makes it repeatable."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from coffer_client import messages, texts
from coffer_client.model import Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Which: TypeAlias = str | UUID | Wanted
"""Which secret: its name, its id, or that with an environment and version."""

BATCH: Final = 100
"""Values in one call at most."""

_OPTIONAL_TEXTS: Final = ("description", "environment", "collection_id")


@dataclass(frozen=True, slots=True)
class Ask:
    """One call. `metadata` may hold an API key."""

    rpc: str
    request: Any = field(repr=False)
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    request_id: str


@dataclass(frozen=True, slots=True)
class Asker:
    """Makes the calls of one client."""

    tenant_id: str
    api_key: str | None = field(default=None, repr=False)

    def access(self, wanted: Wanted) -> Ask:
        """One value. Raises RequestNotValidError for what is no text, as all of these do."""
        texts.check(_texts_of(wanted))
        return _ask("AccessSecret", messages.access(self.tenant_id, wanted))

    def batches(self, wanted: Sequence[Which]) -> list[Ask]:
        """Several values, in as many calls as it takes."""
        each = [as_wanted(one) for one in wanted]
        for at, one in enumerate(each):
            texts.check({f"items[{at}].{field}": given for field, given in _texts_of(one).items()})
        return [
            _ask("BatchAccessSecrets", messages.batch(self.tenant_id, each[at : at + BATCH]))
            for at in range(0, len(each), BATCH)
        ]

    def create_string(
        self,
        name: str,
        value: str,
        expires_at: datetime | None,
        idempotency_key: str | None,
        **others: Any,
    ) -> Ask:
        """A new secret. Raises ValueError without an API key."""
        optional = {field: others.get(field) for field in _OPTIONAL_TEXTS}
        texts.check({"name": name, "value": value, **optional})
        request = messages.create_string(name, value, expires_at, others)
        return self._write("CreateSecret", request, idempotency_key)

    def put_value(
        self,
        secret_id: str | UUID,
        value: str,
        *,
        environment: str | None,
        if_match: int | None,
        idempotency_key: str | None,
    ) -> Ask:
        """A new value. Raises ValueError without an API key."""
        texts.check({"id": secret_id, "value": value, "environment": environment})
        request = messages.put_value(secret_id, value, environment, if_match)
        return self._write("PutSecretValue", request, idempotency_key)

    def _write(self, rpc: str, request: Any, idempotency_key: str | None) -> Ask:
        if self.api_key is None:
            raise ValueError("writing needs an API key: make the client with api_key=")
        key = uuid.uuid4() if idempotency_key is None else texts.idempotency_key(idempotency_key)
        return _ask(
            rpc,
            request,
            ("authorization", f"Bearer {self.api_key}"),
            ("idempotency-key", str(key)),
        )


def as_wanted(which: Which) -> Wanted:
    """The same, in full."""
    return which if isinstance(which, Wanted) else Wanted(which)


def _texts_of(wanted: Wanted) -> dict[str, object]:
    return {"name": wanted.secret, "environment": wanted.environment}


def _ask(rpc: str, request: Any, *metadata: tuple[str, str]) -> Ask:
    request_id = str(uuid.uuid4())
    return Ask(rpc, request, (("x-request-id", request_id), *metadata), request_id)
