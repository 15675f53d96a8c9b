"""Cloud KMS as its real client sees it: data, names, versions, checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import google_crc32c
import grpc
import pytest
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service import transports

from tests.integration.devcloud.gcp_stand import AAD, code, refused, token_credentials

if TYPE_CHECKING:
    from tests.integration.devcloud.gcp_stand import GcpStand


def test_what_was_encrypted_opens_again_and_names_its_version(gcp: GcpStand) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client, b"s" * 32)
    assert sealed.name == f"{gcp.key}/cryptoKeyVersions/1"
    assert sealed.ciphertext_crc32c == google_crc32c.value(sealed.ciphertext)
    assert sealed.verified_plaintext_crc32c
    assert sealed.verified_additional_authenticated_data_crc32c
    assert sealed.protection_level.name == "SOFTWARE"
    opened = gcp.decrypt(client, sealed.ciphertext)
    assert opened.plaintext == b"s" * 32
    assert opened.plaintext_crc32c == google_crc32c.value(opened.plaintext)
    assert opened.used_primary


async def test_the_asynchronous_client_is_served_alike(gcp: GcpStand) -> None:
    transport = transports.KeyManagementServiceGrpcAsyncIOTransport(
        host=gcp.info["gcp_kms_endpoint"],
        credentials=token_credentials(gcp.token()),
        ssl_channel_credentials=grpc.ssl_channel_credentials(gcp.ca),
    )
    async with kms_v1.KeyManagementServiceAsyncClient(transport=transport) as client:
        sealed = await client.encrypt(name=gcp.key, plaintext=b"x", retry=None, timeout=10)
        assert not sealed.verified_plaintext_crc32c
        opened = await client.decrypt(
            name=gcp.key, ciphertext=sealed.ciphertext, retry=None, timeout=10
        )
        assert opened.plaintext == b"x"


def test_other_additional_data_does_not_open(gcp: GcpStand) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    for aad in (b"", AAD + b"x"):
        error = refused(lambda aad=aad: gcp.decrypt(client, sealed, aad=aad))  # type: ignore[misc]
        assert code(error) == "INVALID_ARGUMENT"
        assert error.message == "Decryption failed: the ciphertext is invalid."


@pytest.mark.parametrize("where", [0, 30, -1])
def test_a_changed_ciphertext_does_not_open(gcp: GcpStand, where: int) -> None:
    client = gcp.kms()
    sealed = bytearray(gcp.encrypt(client).ciphertext)
    sealed[where] ^= 1
    assert code(refused(lambda: gcp.decrypt(client, bytes(sealed)))) == "INVALID_ARGUMENT"


def test_a_ciphertext_of_another_key_does_not_open(gcp: GcpStand) -> None:
    other = gcp.control.create_key(f"{gcp.key}-2").name
    gcp.control.grant(other, gcp.account, ["cloudkms.cryptoKeyVersions.useToDecrypt"])
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    error = refused(lambda: gcp.decrypt(client, sealed, name=other))
    assert code(error) == "INVALID_ARGUMENT"
    assert error.message == "Decryption failed: verify that 'name' refers to the correct CryptoKey."


def test_a_rotated_key_encrypts_anew_and_still_opens_the_old(gcp: GcpStand) -> None:
    client = gcp.kms()
    old = gcp.encrypt(client)
    gcp.control.rotate(gcp.key)
    new = gcp.encrypt(client)
    assert new.name == f"{gcp.key}/cryptoKeyVersions/2"
    assert not gcp.decrypt(client, old.ciphertext).used_primary
    assert gcp.decrypt(client, new.ciphertext).used_primary
    pinned = gcp.encrypt(client, name=old.name)
    assert pinned.name == old.name


def test_a_key_and_its_versions_tell_their_state(gcp: GcpStand) -> None:
    client = gcp.kms()
    gcp.control.rotate(gcp.key)
    key = client.get_crypto_key(name=gcp.key, retry=None)
    assert key.primary.name == f"{gcp.key}/cryptoKeyVersions/2"
    assert key.primary.state.name == "ENABLED"
    assert key.purpose.name == "ENCRYPT_DECRYPT"
    assert key.version_template.algorithm.name == "GOOGLE_SYMMETRIC_ENCRYPTION"
    gcp.control.disable(gcp.key)
    version = client.get_crypto_key_version(name=f"{gcp.key}/cryptoKeyVersions/1", retry=None)
    assert version.state.name == "DISABLED"
    error = refused(
        lambda: client.get_crypto_key_version(name=f"{gcp.key}/cryptoKeyVersions/9", retry=None)
    )
    assert code(error) == "NOT_FOUND"


@pytest.mark.parametrize("field", ["plaintext", "additional_authenticated_data"])
def test_a_wrong_checksum_is_refused_before_anything_is_encrypted(
    gcp: GcpStand, field: str
) -> None:
    request: dict[str, Any] = {
        "name": gcp.key,
        "plaintext": b"x",
        "additional_authenticated_data": b"y",
        f"{field}_crc32c": 1,
    }
    error = refused(lambda: gcp.kms().encrypt(request=request, retry=None))
    assert code(error) == "INVALID_ARGUMENT"
    assert f"{field}_crc32c did not match" in error.message


@pytest.mark.parametrize("name", ["", "alias/x", "projects/p/locations/l/keyRings/r"])
def test_what_is_no_key_name_is_refused_as_such(gcp: GcpStand, name: str) -> None:
    client = gcp.kms()
    request = {"name": name, "plaintext": b"x"}
    assert code(refused(lambda: client.encrypt(request=request, retry=None))) == "INVALID_ARGUMENT"


def test_more_than_64_kib_is_refused(gcp: GcpStand) -> None:
    client = gcp.kms()
    assert code(refused(lambda: gcp.encrypt(client, b"x" * 65_537))) == "INVALID_ARGUMENT"
    assert gcp.encrypt(client, b"x" * 65_536).ciphertext


def test_what_is_not_served_says_so(gcp: GcpStand) -> None:
    client = gcp.kms()
    error = refused(lambda: client.list_key_rings(parent="projects/p/locations/l", retry=None))
    assert code(error) == "UNIMPLEMENTED"
