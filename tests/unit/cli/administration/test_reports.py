"""A report of a rewrap that is not genuine must not pass for one. See test_receipts for every paper."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cli.kms import receipts
from cli.papers import CannotCheckError, NotGenuineError
from cli.rewraps.reporting import facts, verify
from services.common.sensitive import SecretBytes
from services.kms.lifecycle.rewrap_reports import REPORT_TYPE
from services.kms.papers import Papers

FOLDER = Path(__file__).resolve().parents[3] / "vectors"
VECTOR, NEVER_STARTED = json.loads((FOLDER / "rewrap-report-1.json").read_text(encoding="utf-8"))
JWS, STATEMENT, JWKS = VECTOR["jws"], VECTOR["statement"], VECTOR["jwks"]
REPORT = {"statement": STATEMENT, "jws": JWS}


def papers() -> Papers:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTOR["signing_key"]))
    return Papers(SecretBytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())))


def test_a_genuine_report_holds_in_each_form_it_is_given_in() -> None:
    for text in (json.dumps(REPORT), json.dumps({"report": REPORT}), JWS, f"\n{JWS}\n"):
        assert verify(text, JWKS).statement == STATEMENT


@pytest.mark.parametrize("member", sorted(STATEMENT))
def test_a_statement_that_says_anything_else_than_what_was_signed_is_not_genuine(
    member: str,
) -> None:
    forged = copy.deepcopy(REPORT)
    forged["statement"][member] = [] if STATEMENT[member] else "else"
    with pytest.raises(NotGenuineError, match="readable statement"):
        verify(json.dumps(forged), JWKS)
    del forged["statement"][member]
    with pytest.raises(NotGenuineError, match="readable statement"):
        verify(json.dumps(forged), JWKS)


def test_a_duration_without_its_point_is_the_same_but_a_count_with_one_is_not() -> None:
    """What other programs write of JSON: 4.0 seconds as 4."""
    assert STATEMENT["duration_seconds"] == 4.0
    written = json.dumps(REPORT).replace('"duration_seconds": 4.0', '"duration_seconds": 4')
    assert verify(written, JWKS).statement == STATEMENT
    for member, value in (("done", 99990.0), ("duration_seconds", True), ("failed", True)):
        forged = {**REPORT, "statement": {**STATEMENT, member: value}}
        with pytest.raises(NotGenuineError):
            verify(json.dumps(forged), JWKS)


def test_a_receipt_is_no_report_and_a_report_no_receipt() -> None:
    receipt: dict[str, Any] = json.loads((FOLDER / "receipt-1.json").read_text("utf-8"))[0]
    with pytest.raises(NotGenuineError, match="not a report of a rewrap"):
        verify(receipt["jws"], receipt["jwks"])
    with pytest.raises(NotGenuineError, match="not a receipt"):
        receipts.verify(JWS, JWKS)
    with pytest.raises(CannotCheckError, match="does not know"):
        verify(papers().sign(REPORT_TYPE, {**STATEMENT, "format": "coffer/x/2"}), JWKS)


def test_a_person_sees_censuses_in_a_line_and_not_a_thousand_ids() -> None:
    shown = dict(facts({**STATEMENT, "failed_ids": [f"id-{n}" for n in range(1000)]}))
    assert shown["census before"] == "version 6: 10000, version 7: 90000, version 8: 5"
    assert shown["failed ids"] == [*(f"id-{n}" for n in range(10)), "and 990 more"]
    assert shown["from versions"] == [6, 7]
    empty = dict(facts(NEVER_STARTED["statement"]))
    assert (empty["census before"], empty["census at signing"]) == (None, "nothing")
    assert empty["from versions"] is None
