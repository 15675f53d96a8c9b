"""Where faults can be planted: the steps of a rewrap, each at one function of the product.

A function that is not there any more makes every process of these tests fail at its start: a step cannot be
renamed and silently go untested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIDDLE = 7
"""Which pass is well inside a lease of thirty batches."""

When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Point:
    """A step: before or after the `passes`-th pass through a function, `module:qualified.name`."""

    name: str
    service: str
    function: str
    when: When
    passes: int


def _points(
    service: str, *rows: tuple[str, When, str] | tuple[str, When, str, int]
) -> tuple[Point, ...]:
    return tuple(
        Point(
            f"{service}-{row[0]}",
            service,
            f"services.{service}.{row[2]}",
            row[1],
            row[3] if len(row) > 3 else MIDDLE,
        )
        for row in rows
    )


REWRAP = _points(
    "rewrap",
    ("lanes-claimed", "after", "store.engine:PostgresLeaseStore.claim", 1),
    ("batch-to-send", "before", "secrets_client:SecretsClient.rewrap"),
    ("batch-answered", "after", "secrets_client:SecretsClient.rewrap"),
    ("to-settle", "before", "store.engine:PostgresLeaseStore.settle", 1),
    ("verify-lanes-made", "after", "store.engine:PostgresLeaseStore.settle", 1),
    ("verify-to-send", "before", "secrets_client:SecretsClient.verify"),
    ("verify-answered", "after", "secrets_client:SecretsClient.verify"),
    ("to-end", "before", "store.engine:PostgresLeaseStore.settle", 2),
    ("ended", "before", "kms_client:KmsClient.sign_report", 1),
    ("report-signed", "after", "kms_client:KmsClient.sign_report", 1),
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
    ("verify-read", "after", "store.verifying:PostgresSamples.sample"),
    ("verify-opened", "after", "verifying:VerifyBatch._open"),
    ("verify-to-record", "before", "store.verifying:PostgresSamples.record"),
    ("verify-recorded", "after", "store.verifying:PostgresSamples.record"),
)
KMS = _points(
    "kms",
    ("batch-received", "before", "rpc.data_keys:DataKeyRpcs.RewrapDataKeys"),
    ("keys-opened", "after", "data_keys:_Keys.require"),
    ("wrapped", "after", "data_keys:DataKeys.rewrap"),
    ("verify-received", "before", "rpc.data_keys:DataKeyRpcs.UnwrapDataKeys"),
    ("verify-opened", "after", "data_keys:DataKeys.unwrap"),
    ("report-received", "before", "rpc.rewrap_reports:RewrapReportRpcs.SignRewrapReport", 1),
    ("report-facts-read", "after", "store.rewrap_reports:_facts", 1),
    ("report-kept", "after", "store.rewrap_reports:StoredReports.report", 1),
)
POINTS = (*REWRAP, *SECRETS, *KMS)
