"""`coffer kms status`, `coffer kms setup`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    OtherTenant,
    exit_codes,
    show_facts,
    show_json,
    show_table,
)
from cli.connection import Stack
from cli.kms.calls import PATH, admin_api

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADVICE: Final = {
    "access_denied": "give the platform its permission back",
    "key_not_found": "the key is gone: restore it, or connect another one",
    "key_disabled": "enable the key",
    "key_unsuitable": "the key cannot wrap any more: connect another one",
    "invalid_request": "the provider refuses the request: check key and config",
    "throttled": "the provider limits the rate: wait, or raise the quota",
    "unreachable": "the provider does not answer: wait",
    "roundtrip_mismatch": "the key gives back other bytes: do not use it, connect another one",
}
"""What to do about a seal, by its reason."""


def status(
    *,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the connected key, whether it can be used, and every master-key version.

    `data keys` is the census: how many stored data keys still need that version; at 0 it can be revoked.

    Example: coffer kms status

    Exit status: 0 shown, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused,
    also when no key is connected.
    """
    with exit_codes(), admin_api(Stack.locate(data_dir), tenant, no_wait=no_wait) as api:
        found = api.get(PATH)
    if as_json:
        show_json(found)
        return
    show_facts(_facts(found))
    typer.echo()
    show_table(
        ("version", "status", "wrapped by", "data keys", "created", "retired"),
        [
            (
                key["version"],
                key["status"],
                key["wrap_method"],
                key["data_keys"],
                key["created_at"],
                key["retired_at"],
            )
            for key in found["keys"]
        ],
        "no master keys yet",
    )


def _facts(found: dict[str, Any]) -> Iterator[tuple[str, object]]:
    config = found["config"]
    yield "state", _state(found)
    yield "provider", config["provider"]
    yield "key", config["kms_key_ref"]
    yield from (config["config"] or {}).items()
    yield "sealed since", config["sealed_since"]
    yield "last verified", config["last_verified_at"]
    yield "last error", config["last_verify_error"]


def _state(found: dict[str, Any]) -> str:
    config = found["config"]
    reason, sealed = config["last_verify_error"], config["sealed_since"] is not None
    advice = _ADVICE.get(reason, "see last error")
    told = []
    if found.get("draining"):
        told.append("draining: on the way back to the platform's key")
    elif not sealed:
        told.append("usable")
    if sealed:
        told.append(f"SEALED, {reason}: {advice}; it is tried again by itself")
    elif reason is not None:
        told.append(f"last check failed: {reason}, {advice}")
    return "; ".join(told)


def setup(
    *,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what the customer needs for its own side: our principal, the external id.

    Example: coffer kms setup --json

    Exit status: 0 shown, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), admin_api(Stack.locate(data_dir), tenant, no_wait=no_wait) as api:
        found = api.get(f"{PATH}/setup")
    if as_json:
        show_json(found)
        return
    show_facts(
        (f"{provider} {name}", value)
        for provider, facts in found.items()
        for name, value in (facts or {"": None}).items()
    )
