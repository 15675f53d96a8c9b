"""What breaks when a change is committed apart from the reply that is kept for its idempotency key."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from coffer.kms.v1 import kms_pb2
from coffer.rewrap.v1 import rewrap_pb2
from coffer.secrets.v1 import secrets_pb2

from services.common.rpc.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICES = {
    "kms": kms_pb2.DESCRIPTOR.services_by_name["KmsService"],
    "rewrap": rewrap_pb2.DESCRIPTOR.services_by_name["RewrapService"],
    "secrets": secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"],
}
APPENDING = {"append", "append_each"}
COMPLETING = {"complete", "_complete"}
BY_NO_REQUEST = {
    "kms.store.create_first": "made by the first use of a key",
    "kms.store.seal": "found out while a key is used",
    "kms.store.finish_draining": "in the background",
    "kms.platform_keys.rewrap_platform_key": "asked for by the operator, page by page",
    "kms.rewrap_reports._make": "made by the first look, or asked for by rewrap",
    "rewrap.claiming": "by workers",
    "rewrap.settling": "by workers",
    "secrets.accesses.record": "reads",
    "secrets.environments.delete": "its parts before the last; `_delete` of the last keeps the reply",
    "secrets.overdue._begin": "in the background",
    "secrets.overdue.purge": "in the background",
    "secrets.reads.environment": "made by the first look or change of a tenant, whatever that is",
    "secrets.versions.remove": "its parts before the last",
}
"""Functions of a store, or files, that append an event and keep no reply, and why."""


def functions(root: Path, service: str, layer: str) -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    """Each with its name, such as `secrets.updates.put`."""
    for file in (root / "services" / service / layer).glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef):
                yield f"{service}.{file.stem}.{node.name}", node


def lines_of(function: ast.AsyncFunctionDef, names: set[str]) -> list[int]:
    """Where it awaits a call of one of these names."""
    found = []
    for node in ast.walk(function):
        if not (isinstance(node, ast.Await) and isinstance(node.value, ast.Call)):
            continue
        called = node.value.func
        if getattr(called, "attr", getattr(called, "id", None)) in names:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_change_keeps_its_reply_in_its_own_transaction(root: Path, service: str) -> None:
    changing = [one for one in functions(root, service, "store") if lines_of(one[1], APPENDING)]
    assert changing
    careless = {
        name
        for name, function in changing
        if not {name, name.rpartition(".")[0]} & BY_NO_REQUEST.keys()
        and len(lines_of(function, COMPLETING)) < len(lines_of(function, APPENDING))
    }
    assert careless == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_rpc_that_changes_says_how_its_reply_is_kept(root: Path, service: str) -> None:
    descriptor = SERVICES[service]
    repeats = Repeats(None, descriptor, "coffer")  # type: ignore[arg-type]
    answered = {
        name.rpartition(".")[2]
        for name, function in functions(root, service, "rpc")
        if lines_of(function, {"answer"})
    }
    changing = {
        rpc.name
        for rpc in descriptor.methods
        if repeats.cover(f"/{descriptor.full_name}/{rpc.name}")
    }
    assert changing - answered == set()
