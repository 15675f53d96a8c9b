"""Steps 5 to 8: the tenant's own key, and everything stored moving to it; then a rotation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.demo.steps import ClaimError, require
from cli.demo.storing import require_same_rows
from devcloud.aws.arn import parse_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.demo.stage import Stage
    from cli.demo.storing import Stored

KMS = "/admin/tenant-kms"
REWRAPS = f"{KMS}/rewraps"
POLL_SECONDS = 0.1
REWRAP_SECONDS = 60.0
ENDED = ("completed", "failed", "superseded", "cancelled")


@dataclass(frozen=True, slots=True)
class Move:
    """A rewrap that was promised: the new active version, the one before, and the lease."""

    version: int
    former: int
    lease_id: int


def active_version(stage: Stage) -> int:
    """The version of the only active master key."""
    body = stage.rest.get(KMS).expect(200)
    active = [key["version"] for key in body["keys"] if key["status"] == "active"]
    require(len(active) == 1, f"{len(active)} versions are active")
    return int(active[0])


def onboard(stage: Stage) -> Move:
    """Connect the tenant's AWS key; the lease exists when the answer does."""
    stage.rest.get(KMS).expect(404, "no_kms_config")
    aws = stage.cloud
    config = {
        "region": parse_arn(aws.aws_key_arn).region,
        "role_arn": aws.aws_role_arn,
        "external_id": aws.aws_external_id,
    }
    return connect(stage, "aws", aws.aws_key_arn, config)


def connect(stage: Stage, provider: str, key_ref: str, config: Mapping[str, str]) -> Move:
    """Connect a key in the place of whatever was connected; the lease exists when the answer does."""
    body = stage.rest.post(
        KMS, {"provider": provider, "kms_key_ref": key_ref, "config": config}
    ).expect(200)
    require(body["rewrap_status"] == "enqueued", f"rewrap_status is {body['rewrap_status']}")
    version = int(body["new_key_version"])
    leases = stage.rest.get(REWRAPS).expect(200)["rewraps"]
    found = [lease["id"] for lease in leases if lease["target_version"] == version]
    require(len(found) == 1, f"{len(found)} leases were issued for version {version}")
    return Move(version, version - 1, int(found[0]))


def rotate(stage: Stage) -> Move:
    """Make a new master key; refused without a step-up token, and no token works twice."""
    former = active_version(stage)
    refused = stage.rest.post(f"{KMS}/rotate", {})
    refused.expect(403, "step_up_required")
    token = stage.step_up()
    body = stage.rest.post(f"{KMS}/rotate", {}, step_up=token).expect(200)
    stage.rest.post(f"{KMS}/rotate", {}, step_up=token).expect(403, "step_up_required")
    require(body["new_version"] == former + 1, f"the new version is {body['new_version']}")
    return Move(int(body["new_version"]), former, int(body["rewrap_lease_id"]))


def watch_rewrap(
    stage: Stage, move: Move, stored: Stored, *, method: str = "customer_kms"
) -> Mapping[str, Any]:
    """Show a rewrap to its end and check all that it promises. The finished lease.

    `method` is what the new version has to be wrapped by.
    """
    with stage.display.meter("rewrapped", stored.count) as meter:
        limit = time.monotonic() + REWRAP_SECONDS
        while True:
            lease = stage.rest.get(f"{REWRAPS}/{move.lease_id}").expect(200)
            meter.show(lease["done"], rate=lease["rate_per_second"], left=lease["eta_seconds"])
            if lease["state"] in ENDED:
                break
            if time.monotonic() > limit:
                raise ClaimError(f"the rewrap is {lease['state']} after {REWRAP_SECONDS:g} s")
            stage.stop.sleep(POLL_SECONDS)
    _require_complete(lease, stored)
    _require_census(stage, move, stored, method)
    require_same_rows(stage, stored)
    return lease


def lease_seconds(lease: Mapping[str, Any]) -> float:
    """How long a finished rewrap took, by the service's own clock."""
    began, ended = (datetime.fromisoformat(lease[name]) for name in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


def _require_complete(lease: Mapping[str, Any], stored: Stored) -> None:
    found = {name: lease[name] for name in ("state", "total", "done", "failed")}
    wanted = {"state": "completed", "total": stored.count, "done": stored.count, "failed": 0}
    require(found == wanted, f"the lease ended as {found}: {lease['last_error']}")


def _require_census(stage: Stage, move: Move, stored: Stored, method: str) -> None:
    answer = stage.rest.get(KMS)
    if answer.status == 404 and method == "global":  # noqa: PLR2004 - back at the platform's key
        return
    keys = {key["version"]: key for key in answer.expect(200)["keys"]}
    for version, status, data_keys in (
        (move.version, "active", stored.count),
        (move.former, "retired", 0),
    ):
        key = keys[version]
        found = (key["status"], key["data_keys"])
        require(
            found == (status, data_keys),
            f"version {version} is {key['status']} with {key['data_keys']} data keys, "
            f"not {status} with {data_keys}",
        )
    found_method = keys[move.version]["wrap_method"]
    require(found_method == method, f"version {move.version} is wrapped by {found_method}")
