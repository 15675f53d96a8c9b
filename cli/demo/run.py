"""The demo's steps in their order: this file is its table of contents."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.demo.certificates import make_server_certificate
from cli.demo.leaving import erase, off_board, to_azure, to_gcp
from cli.demo.moving import Move, lease_seconds, onboard, rotate, watch_rewrap
from cli.demo.reading import cloud_calls, read_everything, require_few_calls
from cli.demo.sealing import seal, unseal
from cli.demo.stage import create_tenant, set_up
from cli.demo.steps import InterruptedByPersonError, require
from cli.demo.storing import Stored, list_rows, random_values, store_certificate, store_values
from cli.local.errors import StartCancelledError
from cli.local.services import SERVICES
from cli.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cli.demo.display import Display
    from cli.demo.stage import Stage
    from cli.demo.steps import Recorder, Stop
    from cli.local.credentials import Credentials

STEPS = 15
TTL_SECONDS = 3.0
SEALED_RETRY_SECONDS = 2.0
SETTINGS = ("COFFER_LOG_LEVEL",)
"""Settings of the person's that are taken all the same."""
CHILDREN = ("postgres", "devcloud", *SERVICES)


@dataclass(frozen=True, slots=True)
class Options:
    """`secrets`: how many strings to store. `folder` is empty and removed afterwards by its owner."""

    folder: Path
    secrets: int
    ttl_seconds: float = TTL_SECONDS


def make_stack(options: Options, environ: Mapping[str, str]) -> Stack:
    """A stack with the stand-in clouds, whose kms drops customers' keys after a few seconds.

    The settings in `environ` are of the person's own Coffer, such as its database, and none of the demo's.
    """
    settings = {
        "COFFER_KMS_CUSTOMER_TTL_SECONDS": f"{options.ttl_seconds:g}",
        "COFFER_KMS_SEALED_RETRY_SECONDS": f"{SEALED_RETRY_SECONDS:g}",
    }
    operator = {k: v for k, v in environ.items() if k in SETTINGS or not _is_setting(k)}
    return Stack(options.folder, devcloud=True, settings=settings, operator=operator)


def run(
    stack: Stack, options: Options, recorder: Recorder, display: Display, stop: Stop
) -> Credentials:
    """Start the stack and do every step; the credentials of the tenant it was done with.

    Raises StepFailedError at the first that does not hold, InterruptedByPersonError. The stack is the
    caller's to stop in either case.
    """
    with recorder.step("start_stack", "start every process") as told:
        _start(stack, stop)
        pids = _pids(stack)
        require(len(set(pids.values())) == len(CHILDREN), "two of them share a process")
        told.tell(f"{', '.join(CHILDREN)} are running", processes=len(CHILDREN))
    with contextlib.ExitStack() as undo:
        with recorder.step("create_tenant", "create a tenant with a key of its own in AWS") as told:
            credentials = create_tenant(stack)
            stage = undo.enter_context(
                set_up(stack, credentials, display, stop, options.ttl_seconds)
            )
            require(not list_rows(stage), "the new tenant is not empty")
            key_id = stage.cloud.aws_key_arn.rpartition("/")[2]
            told.tell(f"tenant {credentials.tenant_slug}, AWS key {key_id}", tenants=1)
        stored = _store(stage, options, recorder)
        _move(stage, stored, recorder)
        _seal(stage, stored, recorder)
        with recorder.step("enable_key", "enable it again: reading has to come back") as told:
            back = unseal(stage)
            restarted = [name for name, pid in _pids(stack).items() if pid != pids[name]]
            require(not restarted, f"{', '.join(restarted)} died meanwhile and was restarted")
            told.tell(
                f"back by itself after {back:.1f} s; no process had to be restarted",
                back_after_seconds=round(back, 2),
            )
        _leave(stage, stored, recorder)
    return credentials


def _pids(stack: Stack) -> dict[str, int]:
    return {name: stack.pid(name) for name in CHILDREN}


def _is_setting(variable: str) -> bool:
    return variable.startswith("COFFER_")


def _start(stack: Stack, stop: Stop) -> None:
    stop.check()
    try:
        stack.start(stop.asked)
    except StartCancelledError:
        raise InterruptedByPersonError from None


def _store(stage: Stage, options: Options, recorder: Recorder) -> Stored:
    with recorder.step("store_certificate", "store a server certificate with its key") as told:
        certificate = make_server_certificate()
        metadata = store_certificate(stage, certificate)
        told.tell(f"{metadata['subject']}, {metadata['key_algorithm']}", certificates=1)
    with recorder.step("store_strings", f"store {options.secrets:,} strings over REST") as told:
        values, began = random_values(options.secrets), time.monotonic()
        store_values(stage, values)
        rate = len(values) / (time.monotonic() - began)
        rows = list_rows(stage)
        require(len(rows) == len(values) + 1, f"{len(rows)} secrets are listed")
        told.tell(
            f"{len(values):,} strings, {rate:,.0f} per second",
            strings=len(values),
            per_second=round(rate, 1),
        )
    return Stored(values, certificate, rows)


def _move(stage: Stage, stored: Stored, recorder: Recorder) -> None:
    began = time.monotonic()
    with recorder.step("onboard_key", "connect the tenant's AWS key") as told:
        move = onboard(stage)
        told.tell(f"version {move.version} active, rewrap enqueued", new_version=move.version)
    _rewrap(stage, stored, recorder, "rewrap_onboarded", move)
    with recorder.step("rotate_key", "rotate the master key, with a step-up token") as told:
        move = rotate(stage)
        told.tell(
            f"version {move.version} active; refused without a token and with a used one",
            new_version=move.version,
        )
    _rewrap(stage, stored, recorder, "rewrap_rotated", move)
    with recorder.step("read_everything", "read everything back over gRPC and compare") as told:
        read_began = time.monotonic()
        read_everything(stage, stored)
        ended = time.monotonic()
        rate = stored.count / (ended - read_began)
        calls = cloud_calls(stage)
        require_few_calls(calls, changes=2, seconds=ended - began, ttl=stage.ttl_seconds)
        asked = sum(calls.values())
        told.tell(
            f"{stored.count:,} equal, {rate:,.0f} per second; {asked} calls to AWS so far",
            equal=stored.count,
            per_second=round(rate, 1),
            **{f"aws_{operation}": count for operation, count in calls.items()},
        )


def _rewrap(stage: Stage, stored: Stored, recorder: Recorder, name: str, move: Move) -> None:
    title = f"rewrap everything to version {move.version}"
    with recorder.step(name, title) as told:
        lease = watch_rewrap(stage, move, stored)
        seconds = lease_seconds(lease)
        told.tell(
            f"{lease['done']:,} data keys moved, version {move.former} needed by 0; "
            "no value_version and no updated_at changed",
            rewrapped=int(lease["done"]),
            failed=int(lease["failed"]),
            left_under_former_version=0,
            rewrap_seconds=round(seconds, 3),
        )


def _seal(stage: Stage, stored: Stored, recorder: Recorder) -> None:
    with recorder.step("disable_key", "disable the key at AWS: reading has to end") as told:
        after = seal(stage, stored)
        told.tell(
            f"refused (503 tenant_sealed) after {after:.1f} s, TTL {stage.ttl_seconds:g} s; "
            "listing goes on",
            refused_after_seconds=round(after, 2),
            ttl_seconds=stage.ttl_seconds,
        )


def _leave(stage: Stage, stored: Stored, recorder: Recorder) -> None:
    all_open = f"all {stored.count:,} still open"
    with recorder.step("off_board", "go back to the platform's key") as told:
        move = off_board(stage, stored)
        told.tell(
            f"version {move.version}; then the AWS key was lost for ever and asked nothing: {all_open}",
            new_version=move.version,
        )
    with recorder.step("connect_gcp", "connect a key in Google Cloud") as told:
        move = to_gcp(stage, stored)
        told.tell(
            f"version {move.version}, {stored.count:,} data keys moved", new_version=move.version
        )
    with recorder.step("replace_by_azure", "replace it by a key in Azure") as told:
        move = to_azure(stage, stored)
        told.tell(
            f"version {move.version}; then the key in Google Cloud was destroyed: {all_open}",
            new_version=move.version,
        )
    with recorder.step("revoke_version", "erase the former master key, for ever") as told:
        statement = erase(stage)
        told.tell(
            f"version {statement['version']} is erased; its receipt was checked offline",
            revoked_version=statement["version"],
            data_keys_lost=statement["data_keys_lost"],
        )
