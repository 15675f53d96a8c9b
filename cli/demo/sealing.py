"""Steps 10 and 11: the customer disables the key, and reading ends within the TTL; then enables it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cli.demo.consumer import Refusal
from cli.demo.moving import KMS
from cli.demo.steps import ClaimError, require
from cli.demo.storing import CERTIFICATE_NAME, require_same_rows

if TYPE_CHECKING:
    from cli.demo.stage import Stage
    from cli.demo.storing import Stored

SEALED = Refusal("UNAVAILABLE", "TENANT_SEALED")
"""What is 503 `tenant_sealed` over HTTP."""
POLL_SECONDS = 0.1
SAMPLE = 20
"""Secrets asked for once the TTL is over; each has to be refused."""
BACK_SECONDS = 45.0
"""A sealed tenant is tried every 30 s by default."""


def seal(stage: Stage, stored: Stored) -> float:
    """Disable the key at the cloud and show what is refused and what is not.

    Returns the seconds until the first refusal.
    """
    stage.control.disable(stage.cloud.aws_key_arn)
    disabled = time.monotonic()
    first = next(iter(stored.values), CERTIFICATE_NAME)
    after = _wait_for_refusal(stage, first, disabled)
    stage.stop.sleep(max(0.0, disabled + stage.ttl_seconds - time.monotonic()))
    _require_all_refused(stage, stored)
    _require_sealed(stage)
    require_same_rows(stage, stored)
    return after


def unseal(stage: Stage) -> float:
    """Enable the key; reading has to come back by itself. Returns the seconds it took."""
    stage.control.enable(stage.cloud.aws_key_arn)
    enabled = time.monotonic()
    while (refusal := stage.consumer.refusal(CERTIFICATE_NAME)) is not None:
        require(refusal == SEALED, f"reading was refused with {refusal}, not {SEALED}")
        if time.monotonic() - enabled > BACK_SECONDS:
            raise ClaimError(f"reading is still refused {BACK_SECONDS:g} s later")
        stage.stop.sleep(POLL_SECONDS)
    config = stage.rest.get(KMS).expect(200)["config"]
    require(config["sealed_since"] is None, f"sealed_since is still {config['sealed_since']}")
    return time.monotonic() - enabled


def _wait_for_refusal(stage: Stage, name: str, disabled: float) -> float:
    """Read until refused. A value may be served only if it was asked for within the TTL."""
    while True:
        asked = time.monotonic() - disabled
        refusal = stage.consumer.refusal(name)
        if refusal is not None:
            require(refusal == SEALED, f"reading was refused with {refusal}, not {SEALED}")
            return time.monotonic() - disabled
        require(asked <= stage.ttl_seconds, f"a value was handed out {asked:.1f} s later")
        stage.stop.sleep(POLL_SECONDS)


def _require_all_refused(stage: Stage, stored: Stored) -> None:
    for name in (CERTIFICATE_NAME, *list(stored.values)[-SAMPLE:]):
        refusal = stage.consumer.refusal(name)
        require(refusal == SEALED, f"asking for {name} ended with {refusal or 'the value'}")
    answer = stage.rest.post("/v1/secrets", {"name": "STORED_WHILE_SEALED", "value": "x"})
    answer.expect(503, "tenant_sealed")
    require("retry-after" in answer.headers, "the refusal says no Retry-After")


def _require_sealed(stage: Stage) -> None:
    config = stage.rest.get(KMS).expect(200)["config"]
    require(config["sealed_since"] is not None, "sealed_since is not set")
    error = config["last_verify_error"]
    require(error == "key_disabled", f"last_verify_error is {error}")
