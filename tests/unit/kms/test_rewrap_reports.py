"""The report of a rewrap says what was found and nothing else, once, in a form that stays."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from coffer.kms.v1 import kms_pb2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import json_format

from services.common.errors import InvalidStateError, NotFoundError, UnavailableError
from services.common.identity import Call
from services.common.sensitive import SecretBytes
from services.kms.lifecycle.rewrap_reports import (
    REPORT_TYPE,
    NotEndedError,
    NotTheReportError,
    RewrapReports,
    report_statement,
)
from services.kms.model import EndedRewrap, WrapMethod
from services.kms.papers import Papers, payload_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "rewrap-report-1.json"
REPORTS: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))
CALL = Call("admin:zoë", "request-1")
MADE = datetime(2026, 1, 1, tzinfo=UTC)
ENDED = EndedRewrap(
    tenant_id=uuid.uuid4(),
    tenant_slug="acme",
    lease_id=7,
    state="completed",
    reason="rotate",
    version=3,
    key_id=uuid.uuid4(),
    wrap_method=WrapMethod.CUSTOMER_KMS,
    provider="aws",
    kms_key_ref="k",
    total=30,
    done=30,
    skipped=0,
    failed=0,
    failed_ids=(),
    verified=30,
    kms_calls=2,
    created_at=MADE,
    started_at=MADE + timedelta(seconds=1),
    finished_at=MADE + timedelta(seconds=4),
    census_before={2: 20, 1: 10, 3: 5},
    census_after={3: 35},
    census_at_signing={3: 36, 2: 0},
    active_version=3,
    revoked_versions=(2, 1),
    signed_at=MADE + timedelta(seconds=5),
)


def papers() -> Papers:
    """With a key of their own."""
    key = Ed25519PrivateKey.generate()
    return Papers(SecretBytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())))


class Store:
    """Implements ReportStore with one lease, and what somebody may have put there in the report's place."""

    def __init__(self, state: str = "completed", kept: str | None = None) -> None:
        self.state = state
        self.kept = kept

    async def report(
        self, call: Call, tenant_id: UUID, lease_id: int, sign: Callable[[EndedRewrap], str]
    ) -> str | None:
        assert (call.actor, call.request_id) == ("service:kms", CALL.request_id)
        if lease_id != ENDED.lease_id:
            return None
        if self.state == "running":
            raise NotEndedError(self.state)
        return self.kept or sign(ENDED)


def test_every_member_of_the_contract_is_there_in_its_order() -> None:
    declared = [field.name for field in kms_pb2.RewrapStatement.DESCRIPTOR.fields]
    for rewrap in (ENDED, _never_started()):
        statement = report_statement(rewrap)
        assert list(statement) == declared
        json_format.ParseDict(statement, kms_pb2.RewrapStatement())


def test_it_says_where_from_where_to_and_how_fast() -> None:
    said = report_statement(ENDED)
    assert said["from_versions"] == {"versions": [1, 2]}
    assert (said["active_version_at_signing"], said["revoked_versions"]) == (3, [1, 2])
    assert (said["duration_seconds"], said["rate_per_second"]) == (3.0, 10.0)
    assert said["census_at_signing"] == {"versions": [{"version": 3, "data_keys": 36}]}
    assert said["census_before"] == {
        "versions": [
            {"version": 1, "data_keys": 10},
            {"version": 2, "data_keys": 20},
            {"version": 3, "data_keys": 5},
        ]
    }


def test_what_never_started_has_no_duration_and_no_census_of_its_own() -> None:
    said = report_statement(_never_started())
    missing = {name for name, value in said.items() if value is None}
    assert missing == {
        "total", "started_at", "duration_seconds", "rate_per_second", "census_before", "census_after",
        "from_versions",
    }  # fmt: skip
    nothing_old = report_statement(replace(ENDED, census_before={3: 5}))
    assert nothing_old["from_versions"] == {"versions": []}


def test_a_rewrap_over_in_no_time_has_a_rate_that_is_a_number() -> None:
    said = report_statement(replace(ENDED, finished_at=ENDED.started_at or MADE))
    assert (said["duration_seconds"], said["rate_per_second"]) == (0.0, 30_000.0)


@pytest.mark.parametrize("vector", REPORTS, ids=lambda vector: vector["statement"]["state"])
def test_a_report_of_an_older_release_is_made_the_same_today(vector: dict[str, Any]) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["signing_key"]))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert Papers(SecretBytes(pem)).sign(REPORT_TYPE, vector["statement"]) == vector["jws"]
    assert payload_of(vector["jws"]) == vector["statement"]


async def test_nothing_is_signed_of_a_rewrap_that_has_not_ended() -> None:
    with pytest.raises(InvalidStateError, match="running") as caught:
        await RewrapReports(Store("running"), papers()).of(CALL, ENDED.tenant_id, ENDED.lease_id)
    assert caught.value.hint
    with pytest.raises(NotFoundError):
        await RewrapReports(Store(), papers()).of(CALL, ENDED.tenant_id, 8)
    paper = await RewrapReports(Store(), papers()).of(CALL, ENDED.tenant_id, ENDED.lease_id)
    assert payload_of(paper)["lease_id"] == ENDED.lease_id


async def test_what_was_put_in_the_place_of_a_report_is_not_handed_out() -> None:
    ours = papers()
    said = report_statement(ENDED)
    genuine = ours.sign(REPORT_TYPE, said)
    head, payload, signature = genuine.split(".")
    altered = ours.sign(REPORT_TYPE, {**said, "verified": 31}).split(".")[1]
    for kept in (
        "garbage",
        f"{head}.{altered}.{signature}",
        f"{head}.{payload}.",
        ours.sign(REPORT_TYPE, report_statement(replace(ENDED, lease_id=8))),
        ours.sign(REPORT_TYPE, report_statement(replace(ENDED, tenant_id=uuid.uuid4()))),
        ours.sign("coffer-revocation-receipt", said),
    ):
        with pytest.raises(NotTheReportError):
            await RewrapReports(Store(kept=kept), ours).of(CALL, ENDED.tenant_id, ENDED.lease_id)
    with pytest.raises(UnavailableError, match="COFFER_KMS_PREVIOUS_SIGNING_KEYS_FILE"):
        await RewrapReports(Store(kept=genuine), papers()).of(CALL, ENDED.tenant_id, ENDED.lease_id)
    assert await RewrapReports(Store(kept=genuine), ours).of(CALL, ENDED.tenant_id, 7) == genuine


def _never_started() -> EndedRewrap:
    return replace(
        ENDED, state="cancelled", total=None, started_at=None, census_before=None, census_after=None
    )
