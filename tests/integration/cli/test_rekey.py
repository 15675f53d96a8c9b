"""`coffer kms rekey-platform`: what the operator sees, also when kms is killed in the middle of it."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cli.connection import Stack
from cli.local.credentials import Credentials, GrpcTargets
from cli.local.directory import DataDirectory
from cli.local.files import private_folder
from cli.local.ports import PortReservations
from tests.fakes.kms_stand import signing_key_pem
from tests.fakes.platform_rows import opened_by, store_platform_keys
from tests.fixtures.command_line import Coffer
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

OLD, NEW, THIRD = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
MANY = 600
EVENTS = "select count(*)::int from audit.event where action = 'kms.key.rewrapped_by_platform'"


@dataclass
class Kms:
    """kms processes on one port, one after the other."""

    database: TestDatabase
    pki: TestPki
    folder: Path
    port: int

    @contextlib.contextmanager
    def running(self, key: bytes, previous: bytes | None) -> Iterator[subprocess.Popen[bytes]]:
        """A process that is ready; killed at the end."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-P", "-m", "services.kms"),
                env=self._environment(key, previous, ready),
                stderr=log,
            )
        try:
            eventually(lambda: ready.exists() or process.poll() is not None, "kms is ready")
            assert process.poll() is None, (self.folder / "log").read_text()
            yield process
        finally:
            process.kill()
            process.wait()

    def _environment(self, key: bytes, previous: bytes | None, ready: Path) -> dict[str, str]:
        tls, tokens = self.pki.tls("kms"), self.pki.issuer.settings
        environ = {
            "PATH": os.environ["PATH"],
            "COFFER_KMS_LISTEN": f"127.0.0.1:{self.port}",
            "COFFER_KMS_READY_FILE": str(ready),
            "COFFER_KMS_TLS_CERT_FILE": str(tls.certificate),
            "COFFER_KMS_TLS_KEY_FILE": str(tls.key),
            "COFFER_KMS_TLS_CA_FILE": str(tls.ca),
            "COFFER_KMS_DATABASE_URL": self.database.dsn("coffer_kms"),
            "COFFER_KMS_IDEMPOTENCY_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
            "COFFER_KMS_SIGNING_KEY": signing_key_pem().decode(),
            "COFFER_MASTER_KEY_B64": base64.b64encode(key).decode(),
            "COFFER_ADMIN_JWT_ISSUER": tokens.issuer,
            "COFFER_ADMIN_JWT_AUDIENCE": tokens.audience,
            "COFFER_ADMIN_JWKS_FILE": str(tokens.jwks_file),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if previous is not None:
            environ["COFFER_MASTER_KEY_PREVIOUS_B64"] = base64.b64encode(previous).decode()
        return environ

    def rewrapped(self) -> int:
        [(count,)] = self.database.rows(EVENTS)
        return int(str(count))


@pytest.fixture
def kms(database: TestDatabase, pki: TestPki, tmp_path: Path) -> Iterator[Kms]:
    ports = PortReservations()  # held, so that no other test gets it while no kms runs
    try:
        ports.reserve(["kms"], wanted={})
        yield Kms(database, pki, tmp_path, int(ports["kms"].address.rpartition(":")[2]))
    finally:
        ports.close()


def operator(kms: Kms, who: str = "operator") -> Coffer:
    tls = kms.pki.tls(who)
    return Coffer(
        {
            "COFFER_KMS_TARGET": f"localhost:{kms.port}",
            "COFFER_OPERATOR_TLS_CERT_FILE": str(tls.certificate),
            "COFFER_OPERATOR_TLS_KEY_FILE": str(tls.key),
            "COFFER_OPERATOR_TLS_CA_FILE": str(tls.ca),
        }
    )


@pytest.mark.usefixtures("surroundings")
def test_kms_killed_in_the_middle_loses_nothing_and_the_command_goes_on(kms: Kms) -> None:
    store_platform_keys(kms.database, OLD, MANY)
    with contextlib.ExitStack() as processes:
        victim = processes.enter_context(kms.running(NEW, OLD))

        def replace() -> int:
            # After the first page was answered, and long before the last.
            eventually(lambda: kms.rewrapped() >= MANY // 4, "a quarter is done", every=0.005)
            victim.kill()
            victim.wait()
            done = kms.rewrapped()
            processes.enter_context(kms.running(NEW, OLD))
            return done

        with ThreadPoolExecutor(1) as pool:
            replaced = pool.submit(replace)
            done = operator(kms).json("kms", "rekey-platform")
            assert replaced.result() < MANY, "it was not in the middle"
        assert (done["examined"], done["failed"]) == (MANY, 0)
        assert done["rewrapped"] + done["current"] == MANY
        again = operator(kms).json("kms", "rekey-platform")
        assert (again["rewrapped"], again["current"]) == (0, MANY)
    assert kms.rewrapped() == MANY, "each was wrapped anew once"
    assert opened_by(kms.database, NEW) == MANY
    assert opened_by(kms.database, OLD) == 0


@pytest.mark.usefixtures("surroundings")
def test_what_another_key_wrapped_is_told_with_what_to_do(kms: Kms) -> None:
    store_platform_keys(kms.database, OLD, 2)
    store_platform_keys(kms.database, THIRD, 1)
    coffer = operator(kms)
    unreachable = coffer("kms", "rekey-platform")
    assert unreachable.exit_code == 3
    with kms.running(NEW, OLD):
        result = coffer("kms", "rekey-platform")
        assert result.exit_code == 1
        assert "rewrapped  2" in result.stdout
        assert "failed     1" in result.stdout
        [(tenant,)] = kms.database.rows(
            "select tenant_id from kms.master_key where tenant_id not in"
            " (select tenant_id from audit.event where action like 'kms.key.rewrapped%%')"
        )
        assert str(tenant) in result.stderr
        assert "COFFER_MASTER_KEY_PREVIOUS_B64" in result.stderr
        stranger = operator(kms, "gateway")("kms", "rekey-platform")
        assert stranger.exit_code == 4, stranger.output
    with kms.running(NEW, THIRD):
        assert operator(kms).json("kms", "rekey-platform") == {
            "examined": 3,
            "rewrapped": 1,
            "current": 2,
            "failed": 0,
            "failed_tenant_ids": [],
        }


@pytest.mark.usefixtures("surroundings")
def test_without_a_certificate_it_says_how_to_get_one() -> None:
    result = Coffer({"COFFER_KMS_TARGET": "localhost:1"})("kms", "rekey-platform")
    assert result.exit_code == 3
    assert "COFFER_OPERATOR_TLS_CERT_FILE" in result.stderr
    assert "coffer pki issue --name operator" in result.stderr


@pytest.mark.usefixtures("surroundings")
def test_a_data_directory_is_not_used_towards_a_stranger() -> None:
    result = Coffer({"COFFER_BASE_URL": "http://localhost:1"})("kms", "rekey-platform")
    assert result.exit_code == 3
    assert "COFFER_KMS_TARGET" in result.stderr


def test_a_data_directory_holds_the_operators_certificate_which_poses_as_nobody(
    tmp_path: Path,
) -> None:
    targets = GrpcTargets(kms="localhost:1", secrets="localhost:2", rewrap="localhost:3")
    Credentials("http://x", "id", "demo", "k", "t", targets, "ca", "c", "k", None).write(
        DataDirectory(tmp_path)
    )
    private_folder(DataDirectory(tmp_path).pki)
    found = Stack.locate(tmp_path).operator()
    assert found.target == "localhost:1"
    cert = x509.load_pem_x509_certificate(found.tls.certificate.read_bytes())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["spiffe://coffer/operator"]
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.mark.usefixtures("surroundings")
def test_the_help_tells_the_whole_procedure() -> None:
    text = Coffer({"COLUMNS": "200"})("kms", "rekey-platform", "--help").stdout
    for word in (
        "COFFER_MASTER_KEY_PREVIOUS_B64",
        "COFFER_KMS_OPERATOR_PROVIDER",
        "COFFER_KMS_OPERATOR_PREVIOUS_PROVIDER",
        "restart every",
        "coffer pki issue --name operator",
    ):
        assert word in text
