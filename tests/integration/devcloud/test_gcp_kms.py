"""Cloud KMS as its real client sees it: data, names, checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import google_crc32c

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
