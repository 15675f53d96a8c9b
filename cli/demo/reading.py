"""Step 9: every value back through AccessSecret, compared; and what the cloud was asked for it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cli.demo.lanes import each
from cli.demo.steps import require
from cli.demo.storing import CERTIFICATE_NAME

if TYPE_CHECKING:
    from cli.demo.stage import Stage
    from cli.demo.storing import Stored

CALLS_PER_CHANGE = 4
"""At most, for one onboarding or rotation: a probe and a new master key, wrapped and unwrapped."""
REFRESH_AT = 0.8
"""Part of its TTL after which a master key in use is asked for again."""


def read_everything(stage: Stage, stored: Stored) -> None:
    """Fetch each value as the granted consumer; each has to be what was stored, byte for byte."""

    def read(name: str) -> None:
        found = stage.consumer.access(name)
        require(found.value == stored.values[name], f"{name} is not what was stored")
        require(found.value_version == 1, f"{name} has value_version {found.value_version}")

    _require_certificate(stage, stored)
    with stage.display.meter("read", len(stored.values)) as meter:
        each(stored.values, read, stage.stop, meter)


def _require_certificate(stage: Stage, stored: Stored) -> None:
    found = stage.consumer.access(CERTIFICATE_NAME).certificate
    sent = stored.certificate
    require(found.content == sent.chain, "the certificate is not what was stored")
    require(found.private_key == sent.private_key, "the private key is not what was stored")


def cloud_calls(stage: Stage) -> dict[str, int]:
    """What was asked of the tenant's key and role so far, by operation, refused calls too."""
    calls: Counter[str] = Counter()
    for tally in stage.control.tallies():
        if tally.resource in (stage.cloud.aws_key_arn, stage.cloud.aws_role_arn):
            calls[tally.operation] += tally.calls
    return {operation: calls[operation] for operation in sorted(calls)}


def require_few_calls(calls: dict[str, int], *, changes: int, seconds: float, ttl: float) -> None:
    """The key was asked by time and not by the number of secrets.

    `changes` onboardings and rotations, `seconds` since the first. A version in use is unwrapped at most
    1 + seconds / (0.8 * ttl) times, and there is one version for each change.
    """
    unwraps = changes * (1 + seconds / (REFRESH_AT * ttl))
    limit = changes * CALLS_PER_CHANGE + int(unwraps)
    asked = calls.get("Encrypt", 0) + calls.get("Decrypt", 0)
    require(asked > 0, "the key was never asked")
    require(asked <= limit, f"the key was asked {asked} times, more than {limit}")
