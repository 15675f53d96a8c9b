"""A rewrap steered at the command line of an administrator, against the real stack."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cli.exits import Exit
from tests.e2e.life.rewraps import rewraps_held
from tests.fixtures.command_line import Coffer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.fixtures.tenant_user import TenantUser


def test_a_rewrap_is_held_slowed_ended_and_begun_again(
    tenant: TenantUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("COFFER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    base_url = tenant.stack.stack.credentials.base_url
    coffer = Coffer({"COFFER_BASE_URL": base_url, "COFFER_ADMIN_JWT": tenant.admin_jwt})
    tenant.create_all({"A": "a", "B": "b"})
    with rewraps_held(tenant):
        tenant.onboard(tenant.customer())
        first = coffer.json("rewraps", "pause")
        assert (first["state"], first["done"]) == ("paused", 0)
        assert coffer.json("rewraps", "throttle", "1500")["throttle_per_second"] == 1500
        assert coffer.json("rewraps", "throttle", str(first["id"]), "none")["state"] == "paused"
        assert coffer.json("rewraps", "resume", str(first["id"]))["state"] == "enqueued"
        twice = coffer("rewraps", "start")
        assert twice.exit_code == Exit.REFUSED
        assert "rewrap_running" in twice.stderr
        assert coffer.json("rewraps", "cancel", "--yes")["state"] == "cancelled"
        assert coffer("rewraps", "resume").exit_code == Exit.REFUSED
    ended = coffer("rewraps", "start", "--throttle", "1000", "--watch")
    assert ended.exit_code == Exit.OK, ended.output
    assert "2 moved" in ended.stdout
    shown = coffer("rewraps", "list").stdout
    assert all(word in shown for word in ("manual", "completed", "onboard", "cancelled", "2 of 2"))
    assert tenant.census() == {1: 0, 2: 2}
