"""Where faults can be planted: the steps of a rewrap, each at one function of the product.

A name that is not there any more makes every process of these tests fail at its start: a step cannot be
renamed and silently go untested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Point:
    """Before or after a function, `module:qualified.name`, of one service."""

    name: str
    service: str
    function: str
    when: Literal["before", "after"]


def _points(service: str, *rows: tuple[str, Literal["before", "after"], str]) -> tuple[Point, ...]:
    return tuple(
        Point(f"{service}-{name}", service, f"services.{service}.{function}", when)
        for name, when, function in rows
    )


REWRAP = _points(
    "rewrap",
    ("lanes-claimed", "after", "store.engine:PostgresLeaseStore.take"),
    ("batch-to-send", "before", "secrets_client:SecretsClient.rewrap"),
    ("batch-answered", "after", "secrets_client:SecretsClient.rewrap"),
    ("to-settle", "before", "store.engine:PostgresLeaseStore.settle"),
    ("settled", "after", "store.engine:PostgresLeaseStore.settle"),
)
SECRETS = _points(
    "secrets",
    ("batch-received", "before", "rewrap_batch:RewrapBatch.run"),
    ("batch-read", "after", "store.data_keys:PostgresStaleKeys.stale"),
    ("kms-answered", "after", "kms_client:KmsClient.rewrap"),
    ("ring-held", "after", "store.data_keys:hold_active"),
    ("swapped", "after", "store.data_keys:_swap"),
    ("recorded", "after", "store.data_keys:_record"),
    ("committed", "after", "store.data_keys:PostgresStaleKeys.swap"),
)
KMS = _points(
    "kms",
    ("batch-received", "before", "rpc.data_keys:DataKeyRpcs.RewrapDataKeys"),
    ("keys-opened", "after", "data_keys:_Keys.require"),
    ("wrapped", "after", "data_keys:DataKeys.rewrap"),
)
POINTS = (*REWRAP, *SECRETS, *KMS)
