"""Every state a customer's key can be in, through the real client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.control_client import ControlError
from devcloud.gcp.model import ENCRYPTER_DECRYPTER, Purpose, VersionState
from tests.integration.devcloud.gcp_stand import code, refused

if TYPE_CHECKING:
    from tests.integration.devcloud.gcp_stand import GcpStand

OFF = [VersionState.DISABLED, VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED]


@pytest.mark.parametrize("state", OFF)
def test_a_version_that_is_not_enabled_does_nothing_and_says_why(
    gcp: GcpStand, state: VersionState
) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    gcp.control.set_state(gcp.key, state)
    version = f"{gcp.key}/cryptoKeyVersions/1"
    for error in (
        refused(lambda: gcp.encrypt(client)),
        refused(lambda: gcp.decrypt(client, sealed)),
    ):
        assert code(error) == "FAILED_PRECONDITION"
        assert error.message == f"{version} is not enabled, current state is: {state}."
        violation = error.details[0].violations[0]
        assert (violation.type, violation.subject) == (f"KEY_{state}", version)


@pytest.mark.parametrize("state", OFF[:2])
def test_a_version_that_was_not_destroyed_comes_back(gcp: GcpStand, state: VersionState) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    gcp.control.set_state(gcp.key, state)
    gcp.control.enable(gcp.key)
    assert gcp.decrypt(client, sealed).plaintext == b"x" * 32


def test_what_was_destroyed_stays_destroyed(gcp: GcpStand) -> None:
    info = gcp.control.destroy(gcp.key)
    with pytest.raises(ControlError):
        gcp.control.set_version_state(info.version(1), VersionState.ENABLED)
    gcp.control.rotate(gcp.key)
    assert gcp.encrypt(gcp.kms()).name == info.version(2)


def test_a_disabled_old_version_stops_its_own_ciphertexts_only(gcp: GcpStand) -> None:
    client = gcp.kms()
    old = gcp.encrypt(client).ciphertext
    gcp.control.rotate(gcp.key)
    new = gcp.encrypt(client).ciphertext
    gcp.control.set_version_state(f"{gcp.key}/cryptoKeyVersions/1", VersionState.DISABLED)
    assert code(refused(lambda: gcp.decrypt(client, old))) == "FAILED_PRECONDITION"
    assert gcp.decrypt(client, new).plaintext == b"x" * 32


def test_a_disabled_primary_stops_encryption_and_leaves_old_ciphertexts(gcp: GcpStand) -> None:
    client = gcp.kms()
    old = gcp.encrypt(client).ciphertext
    info = gcp.control.rotate(gcp.key)
    gcp.control.set_version_state(info.version(2), VersionState.DISABLED)
    assert code(refused(lambda: gcp.encrypt(client))) == "FAILED_PRECONDITION"
    assert gcp.decrypt(client, old).plaintext == b"x" * 32


def test_a_key_without_a_primary_version_does_not_encrypt(gcp: GcpStand) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    gcp.control.set_primary(gcp.key, None)
    assert code(refused(lambda: gcp.encrypt(client))) == "FAILED_PRECONDITION"
    assert gcp.decrypt(client, sealed).plaintext == b"x" * 32
    assert not client.get_crypto_key(name=gcp.key, retry=None).primary.name


@pytest.mark.parametrize(
    "purpose", [Purpose.ASYMMETRIC_DECRYPT, Purpose.ASYMMETRIC_SIGN, Purpose.MAC]
)
def test_a_key_of_another_purpose_neither_encrypts_nor_decrypts(
    gcp: GcpStand, purpose: Purpose
) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    ring = gcp.key.rpartition("/cryptoKeys/")[0]
    gcp.control.grant(ring, gcp.account, ENCRYPTER_DECRYPTER)
    other = gcp.control.create_key(f"{ring}/cryptoKeys/other", purpose).name
    for error in (
        refused(lambda: gcp.encrypt(client, name=other)),
        refused(lambda: gcp.decrypt(client, sealed, name=other)),
    ):
        assert code(error) == "FAILED_PRECONDITION"
        assert purpose in error.message


def test_a_missing_key_is_told_only_to_those_who_may_use_its_ring(gcp: GcpStand) -> None:
    client = gcp.kms()
    ring = gcp.key.rpartition("/cryptoKeys/")[0]
    missing = f"{ring}/cryptoKeys/none"
    error = refused(lambda: gcp.encrypt(client, name=missing))
    assert code(error) == "PERMISSION_DENIED"
    assert "(or it may not exist)" in error.message
    gcp.control.grant(ring, gcp.account, ENCRYPTER_DECRYPTER)
    assert code(refused(lambda: gcp.encrypt(client, name=missing))) == "NOT_FOUND"
    elsewhere = missing.replace("projects/", "projects/no-such-")
    assert code(refused(lambda: gcp.encrypt(client, name=elsewhere))) == "PERMISSION_DENIED"
