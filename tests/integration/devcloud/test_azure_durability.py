"""What a restart after a crash must find: everything that was answered before it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from devcloud.azure.model import AccessModel, KeyLife
from devcloud.azure.server import AzureServer
from devcloud.azure.snapshot import json_file
from tests.integration.devcloud.azure_stand import DATA_KEY, AzureStand, encoded, refused

if TYPE_CHECKING:
    from pathlib import Path


def server_of(folder: Path) -> AzureServer:
    return AzureServer.seeded(json_file(folder / "azure.json"), folder=folder / "azure")


def test_all_that_was_answered_outlives_a_crash(tmp_path: Path) -> None:
    # The first server is not stopped before the second one reads: it never gets to write more.
    with server_of(tmp_path) as server, server.control() as control:
        stand = AzureStand(server.announcement(), control)
        token = stand.secret_credential().get_token("https://vault.azure.net/.default").token
        old = stand.wrapped()
        control.rotate(stand.key)
        new = stand.wrapped()
        control.disable(stand.key, new["kid"].rpartition("/")[2])
        second = control.create_key(stand.vault_host, "second", kty="EC")
        control.delete(second.url)
        control.set_access_model(stand.vault_host, AccessModel.POLICY)
        control.deny(second.url, client_id=stand.client_id)
        changed = control.rotate_secret(stand.client_id)
        stand.close()

        with server_of(tmp_path) as again, again.control() as control_again:
            before, after = server.announcement(), again.announcement()
            same = {name for name, value in before.items() if "127.0.0.1:" not in value}
            same.remove("azure_client_secret")
            assert {name: after[name] for name in same} == {name: before[name] for name in same}
            assert after["azure_client_secret"] == changed.client_secret
            stand = AzureStand(after, control_again)
            answer = stand.raw("/keys/coffer?api-version=7.4", Authorization=f"Bearer {token}")
            assert answer.status_code == 200
            assert stand.unwrap(old).json()["value"] == encoded(DATA_KEY)
            refused(stand.unwrap(new), 403, "Forbidden", "KeyDisabled")
            assert control_again.key(second.url).life is KeyLife.DELETED
            control_again.expire_tokens()
            stand.close()


def test_files_with_keys_are_private(tmp_path: Path) -> None:
    with server_of(tmp_path):
        for path in (tmp_path / "azure.json", tmp_path / "azure" / "federated-token"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 1, "keys": [{}]}'])
def test_a_damaged_state_file_is_refused_by_name_and_not_overwritten(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "azure.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=str(path)):
        server_of(tmp_path)
    assert path.read_text() == content


def test_a_server_in_memory_leaves_nothing_behind() -> None:
    with AzureServer.seeded() as server:
        folder = server.ca_file.parent
        assert folder.exists()
    assert not folder.exists()
