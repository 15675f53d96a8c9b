"""The data directory's lock, files, ports, keys and certificates."""

import os
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509

from cli.local.directory import DataDirectory
from cli.local.errors import AlreadyRunningError, DataDirectoryError, PortTakenError
from cli.local.issuer import AUDIENCE, ISSUER, DevelopmentIssuer
from cli.local.keys import LocalKeys
from cli.local.pki import DevelopmentPki, Identity
from cli.local.ports import ReservedPort


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_supervisor_is_refused_and_told_the_first_ones_pid(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    with directory.held(), pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        directory._lock()
    with directory.held():
        assert directory.lock_file.read_text() == str(os.getpid())


def test_a_folder_with_other_peoples_files_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    tmp_path.chmod(0o750)
    with pytest.raises(DataDirectoryError, match="not empty"):
        DataDirectory(tmp_path)._lock()
    assert mode(tmp_path) == 0o750


def test_a_reserved_port_is_its_childs_alone() -> None:
    reserved = ReservedPort()
    with socket.socket() as child, socket.socket() as stranger:
        with pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", reserved.port))
        child.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        child.bind(("127.0.0.1", reserved.port))
        child.listen()
        with socket.create_connection(("127.0.0.1", reserved.port)) as client:
            child.accept()[0].close()
            assert client.recv(1) == b""
    reserved.close()


def test_a_taken_port_is_refused_even_when_its_owner_would_share_it() -> None:
    owner = ReservedPort()
    with pytest.raises(PortTakenError, match=str(owner.port)):
        ReservedPort(owner.port)
    owner.close()


def test_keys_stay_the_same_and_are_private(tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path)
    keys.ensure(["coffer_kms"], database_exists=False)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    keys.ensure(["coffer_kms"], database_exists=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert {mode(file) for file in tmp_path.iterdir()} == {0o600}


def test_a_lost_master_key_is_not_replaced_while_data_needs_it(tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path)
    keys.ensure([], database_exists=False)
    keys.master_key_file.unlink()
    with pytest.raises(DataDirectoryError, match="master_key_b64 is missing"):
        keys.ensure([], database_exists=True)
    assert not keys.master_key_file.exists()


def test_an_admin_token_verifies_against_the_published_keys(tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path)
    keys.ensure([], database_exists=False)
    issuer = DevelopmentIssuer(keys.issuer_key_file)
    issuer.write_jwks(keys.jwks_file)
    token = issuer.admin("11111111-1111-1111-1111-111111111111")
    published = jwt.PyJWKSet.from_json(keys.jwks_file.read_text())
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)
    assert claims["role"] == "owner"
    assert claims["exp"] - claims["iat"] == 24 * 3600
    assert "PRIVATE" not in keys.jwks_file.read_text()
    assert '"d"' not in keys.jwks_file.read_text()


def shake(server: Identity, client: Identity) -> list[str]:
    """A mutual TLS handshake in memory; the URI names the server saw."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client.ca_file)
    server_side.load_cert_chain(server.cert_file, server.key_file)
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=server.ca_file)
    client_side.load_cert_chain(client.cert_file, client.key_file)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    c = client_side.wrap_bio(to_client, to_server, server_hostname="localhost")
    s = server_side.wrap_bio(to_server, to_client, server_side=True)
    done = {c: False, s: False}
    while not all(done.values()):
        for end in done:
            try:
                end.do_handshake()
                done[end] = True
            except ssl.SSLWantReadError:
                pass
    der = s.getpeercert(binary_form=True)
    assert der is not None
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def test_our_processes_can_prove_who_they_are(tmp_path: Path) -> None:
    pki = DevelopmentPki(tmp_path)
    names = shake(pki.identity("kms", "kms"), pki.identity("dev", "consumer/dev"))
    assert names == ["spiffe://coffer/consumer/dev"]
    assert {mode(file) for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("client", ["consumer/dev", "operator"])
def test_a_clients_certificate_cannot_pose_as_a_service(tmp_path: Path, client: str) -> None:
    pki = DevelopmentPki(tmp_path)
    gateway = pki.identity("gateway", "gateway")
    consumer = pki.identity("client", client)
    assert shake(gateway, consumer)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(consumer, gateway)


def test_certificates_are_kept_until_they_near_their_end(tmp_path: Path) -> None:
    first = DevelopmentPki(tmp_path).identity("kms", "kms").cert_file.read_bytes()
    assert DevelopmentPki(tmp_path).identity("kms", "kms").cert_file.read_bytes() == first
    late = datetime.now(UTC) + timedelta(days=340)
    renewed = DevelopmentPki(tmp_path, now=late).identity("kms", "kms").cert_file.read_bytes()
    assert renewed != first


@pytest.mark.parametrize("damaged", ["ca.key", "kms.key", "kms.crt"])
def test_a_half_written_pair_is_made_anew(tmp_path: Path, damaged: str) -> None:
    DevelopmentPki(tmp_path).identity("kms", "kms")
    (tmp_path / damaged).write_bytes(b"")
    pki = DevelopmentPki(tmp_path)
    assert shake(pki.identity("kms", "kms"), pki.identity("dev", "dev")) == ["spiffe://coffer/dev"]
