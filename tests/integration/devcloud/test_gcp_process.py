"""The Google Cloud stand-in as a part of the devcloud process: killed and started again."""

from __future__ import annotations

import signal
import stat
from typing import TYPE_CHECKING

from devcloud.gcp.control import GcpControl
from devcloud.gcp.model import GET_KEY, VersionState
from tests.integration.devcloud.gcp_stand import GcpStand, code, refused
from tests.integration.devcloud.test_process import Process

if TYPE_CHECKING:
    from pathlib import Path


def test_keys_grants_logins_and_the_ca_outlive_a_kill(tmp_path: Path) -> None:
    first = Process(tmp_path)
    again = None
    try:
        info = first.ready()
        assert stat.S_IMODE((first.state_dir / "gcp.json").stat().st_mode) == 0o600
        with GcpControl.from_ready_file(first.ready_file) as control:
            stand = GcpStand(info, control)
            ca, token = stand.ca, stand.token()
            sealed = stand.encrypt(stand.kms(token)).ciphertext
            control.set_version_state(control.rotate(stand.key).version(2), VersionState.DISABLED)
            control.deny(stand.key, stand.account, [GET_KEY])
            first.end(signal.SIGKILL)
            stand.close()
        again = Process(tmp_path)
        info = again.ready()
        with GcpControl.from_ready_file(again.ready_file) as control:
            stand = GcpStand(info, control)
            assert stand.ca == ca
            client = stand.kms(token)
            assert stand.decrypt(client, sealed).plaintext == b"x" * 32
            assert code(refused(lambda: stand.encrypt(client))) == "FAILED_PRECONDITION"
            denied = refused(lambda: client.get_crypto_key(name=stand.key, retry=None))
            assert code(denied) == "PERMISSION_DENIED"
            stand.close()
        assert again.end(signal.SIGTERM) == 0
        assert again.error == ""
    finally:
        first.close()
        if again is not None:
            again.close()
