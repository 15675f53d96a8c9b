"""Steps 12 to 15: back to the platform's key, on to Google Cloud and Azure, an erasure with its receipt.

After each move the cloud that was left is made to lose its key for ever, and everything still opens: the
promise holds for the present key and asks nothing of a former one.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from cli.demo.moving import KMS, Move, active_version, connect, watch_rewrap
from cli.demo.reading import cloud_calls, read_everything
from cli.demo.steps import ClaimError, require
from cli.kms.receipts import NotGenuineError, verify
from devcloud.aws.model import KeyState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.demo.stage import Stage
    from cli.demo.storing import Stored

SIGNING_KEYS: Final = "/.well-known/coffer-signing-keys"
DRAINED_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1


def off_board(stage: Stage, stored: Stored) -> Move:
    """Go back to the platform's key; then the AWS key is gone for ever, and nothing misses it."""
    former = active_version(stage)
    stage.rest.delete(KMS).expect(403, "step_up_required")
    body = stage.rest.delete(KMS, step_up=stage.step_up()).expect(200)
    move = Move(int(body["new_key_version"]), former, int(body["rewrap_lease_id"]))
    watch_rewrap(stage, move, stored, method="global")
    _wait_until_drained(stage)
    stage.control.set_key_state(stage.cloud.aws_key_arn, KeyState.GONE)
    stage.control.reset_ledger()
    _require_all_open(stage, stored)
    calls = cloud_calls(stage)
    require(not calls, f"the former key in AWS was asked {calls}")
    return move


def to_gcp(stage: Stage, stored: Stored) -> Move:
    """Connect a key in Google Cloud."""
    key = stage.cloud
    config = {"impersonate_service_account": key.gcp_service_account}
    move = connect(stage, "gcp", key.gcp_key, config)
    watch_rewrap(stage, move, stored)
    return move


def to_azure(stage: Stage, stored: Stored) -> Move:
    """Replace the key in Google Cloud by one in Azure; then the former is destroyed."""
    key = stage.cloud
    vault = key.azure_key.partition("/keys/")[0]
    config = {
        "vault_url": vault,
        "azure_tenant_id": key.azure_tenant_id,
        "client_id": key.azure_client_id,
    }
    move = connect(stage, "azure", key.azure_key, config)
    watch_rewrap(stage, move, stored)
    stage.gcp.destroy(key.gcp_key)
    _require_all_open(stage, stored)
    return move


def erase(stage: Stage) -> Mapping[str, Any]:
    """Revoke the version before the present one; the statement of its receipt, checked offline."""
    active = active_version(stage)
    path, body = f"{KMS}/keys/{{}}/revoke", {"confirm": stage.credentials.tenant_slug}
    refused = stage.rest.post(path.format(active), body, step_up=stage.step_up())
    refused.expect(409, "key_active")
    answer = stage.rest.post(path.format(active - 1), body, step_up=stage.step_up())
    receipt = answer.expect(200)["receipt"]
    keys = stage.rest.get(SIGNING_KEYS).expect(200)
    try:
        found = verify(json.dumps(receipt), keys)
    except NotGenuineError as error:
        raise ClaimError(f"the receipt is not genuine: {error}") from None
    require(found.statement["version"] == active - 1, "the receipt is of another version")
    return found.statement


def _require_all_open(stage: Stage, stored: Stored) -> None:
    """Every value, once no key that was open before can be used any more."""
    stage.stop.sleep(stage.ttl_seconds)
    read_everything(stage, stored)


def _wait_until_drained(stage: Stage) -> None:
    limit = time.monotonic() + DRAINED_SECONDS
    while (answer := stage.rest.get(KMS)).status != 404:  # noqa: PLR2004 - no_kms_config
        require(answer.expect(200).get("draining") is True, "the key is not draining")
        require(time.monotonic() < limit, f"still draining after {DRAINED_SECONDS:g} s")
        stage.stop.sleep(POLL_SECONDS)
    answer.expect(404, "no_kms_config")
