"""docs/client.md says what works: each of its blocks is run, in order, against the stack."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.client.partner_server import fresh

if TYPE_CHECKING:
    import pytest

    from tests.fixtures.tenant_user import TenantUser

PAGE = Path(__file__).parents[3] / "docs" / "client.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = 6


def test_every_block_of_the_page_runs(
    tenant: TenantUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tenant.stack.identity_files("consumer/dev")
    for file, name in zip(files, ("client.crt", "client.key", "ca.crt"), strict=True):
        shutil.copy(file, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COFFER_TARGET", tenant.stack.stack.address("secrets"))
    monkeypatch.setenv("COFFER_TENANT_ID", tenant.id)
    monkeypatch.setenv("COFFER_API_KEY", tenant.api_key)
    leaf = fresh("client.example")
    body = {
        "name": "PARTNER_TLS",
        "certificate_content": leaf.pem,
        "private_key": leaf.key_pem,
    }
    assert tenant.call("POST", "/v1/secrets/certificate", json=body).status_code == 201
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == BLOCKS
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
