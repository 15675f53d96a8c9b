"""The report of a rewrap at the command line: of which rewrap, and kept so that it can be verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.exits import Exit
from tests.fakes.cli_gateway import lease, refusal

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

PATH = "/admin/tenant-kms/rewraps"
VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "rewrap-report-1.json"
VECTOR: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))[0]
REPORT = {"statement": VECTOR["statement"], "jws": VECTOR["jws"]}


def listed(*states: str) -> tuple[int, Any]:
    """Newest first, from id 42 downwards."""
    rows = [lease(id=42 - place, state=state) for place, state in enumerate(states)]
    return 200, {
        "rewraps": rows, "total": len(rows), "page": 1, "per_page": 100, "total_pages": 1,
    }  # fmt: skip


def test_the_newest_that_has_ended_is_shown_kept_and_verified(
    coffer: Coffer, gateway: Gateway, tmp_path: Path
) -> None:
    gateway.answers |= {
        f"GET {PATH}": listed("running", "failed", "completed"),
        f"GET {PATH}/41/report": (200, REPORT),
    }
    paper, keys = tmp_path / "report.json", tmp_path / "keys.json"
    result = coffer("rewraps", "report", "--output", str(paper))
    assert result.exit_code == Exit.OK, result.output
    assert "99990" in result.stdout
    assert "version 8: 100013" in result.stdout
    assert VECTOR["statement"]["covers"][0] in result.stdout
    keys.write_text(json.dumps(VECTOR["jwks"]), encoding="utf-8")
    checked = coffer("rewraps", "check-report", str(paper), "--keys", str(keys))
    assert checked.exit_code == Exit.OK, checked.output
    assert "genuine: signed with the key" in checked.stdout
    assert coffer.json("rewraps", "report", "41") == REPORT

    paper.write_text(paper.read_text("utf-8").replace("99990", "99991"), encoding="utf-8")
    forged = coffer("rewraps", "check-report", str(paper), "--keys", str(keys))
    assert forged.exit_code == Exit.FAILED
    assert "NOT genuine" in forged.stderr
    unread = coffer("rewraps", "check-report", str(tmp_path / "none"), "--keys", str(keys))
    assert unread.exit_code == Exit.USAGE


def test_without_one_that_has_ended_it_says_so(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[f"GET {PATH}"] = listed("running")
    result = coffer("rewraps", "report")
    assert result.exit_code == Exit.REFUSED
    assert "no rewrap has ended yet" in result.stderr
    refused = refusal("invalid_state", "The rewrap is running.")
    gateway.answers[f"GET {PATH}/42/report"] = (409, refused)
    result = coffer("rewraps", "report", "42")
    assert result.exit_code == Exit.REFUSED
    assert "is running" in result.stderr
