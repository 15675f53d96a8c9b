"""Values of the secrets service for tests, with as little said as a test has to say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from services.common.identity import Call
from services.common.sensitive import SecretBytes
from services.secrets.model import (
    DataKey,
    Draft,
    Environment,
    NewSecret,
    SealedValue,
    WrappedKey,
)

if TYPE_CHECKING:
    from services.common.idempotency import Claim


def a_call(
    tenant_id: UUID | None = None, actor: str = "api_key:test", claim: Claim | None = None
) -> Call:
    return Call(actor=actor, request_id=str(uuid4()), tenant_id=tenant_id, claim=claim)


def an_environment(name: str = "production") -> Environment:
    return Environment(uuid4(), name, is_default=True)


def a_data_key(key_version: int = 1, usable_until: float = float("inf")) -> DataKey:
    key = SecretBytes(os.urandom(32))
    return DataKey(uuid4(), key, os.urandom(68), key_version, usable_until)


def new_secret(
    name: str, environment: Environment | None = None, *, key_version: int = 1, call: Call
) -> NewSecret:
    return NewSecret(
        call=call,
        id=uuid4(),
        draft=Draft(
            name=name,
            secret_type="string",
            description=None,
            environment=None,
            collection_id=None,
            expires_at=None,
            strict_expiry_enforcement=False,
        ),
        environment=environment or an_environment(),
        value=SealedValue(
            WrappedKey(uuid4(), os.urandom(68), key_version), {"value": os.urandom(40)}
        ),
        certificate=None,
    )
