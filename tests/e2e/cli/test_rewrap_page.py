"""docs/rewrap.md says what works: its commands are run, in order, and those it names are there."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fixtures.command_line import Coffer

if TYPE_CHECKING:
    import pytest

    from tests.fixtures.tenant_user import TenantUser

PAGE = (Path(__file__).parents[3] / "docs" / "rewrap.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```bash test\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`coffer ((?:rewraps|kms) [a-z-]+)")
FEWEST = 4


def test_every_command_of_the_page_does_what_it_says(
    tenant: TenantUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("COFFER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    tenant.onboard(tenant.customer())
    tenant.create("A", "value")
    lines = [line for block in BLOCK.findall(PAGE) for line in block.splitlines()]
    assert len(lines) >= FEWEST
    for line in lines:
        environ = {
            "COFFER_BASE_URL": tenant.stack.stack.credentials.base_url,
            "COFFER_ADMIN_JWT": tenant.admin_jwt,
            "COFFER_STEP_UP": tenant.step_up()["x-knoxcall-stepup"],
        }
        program, *arguments = shlex.split(line, comments=True)
        assert program == "coffer"
        result = Coffer(environ)(*arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}"


def test_every_command_that_the_page_names_is_there() -> None:
    commands = set(NAMED.findall(PAGE))
    assert len(commands) >= FEWEST
    for command in commands:
        result = Coffer({})(*command.split(), "--help")
        assert result.exit_code == 0, f"coffer {command}\n{result.output}"
