"""Ciphertexts open with their key, context and material, and with nothing else."""

from __future__ import annotations

import pytest

from tests.integration.devcloud.stand import CONTEXT, Stand, refused


def test_what_was_encrypted_decrypts_with_key_alias_or_no_name(stand: Stand) -> None:
    kms, alias = stand.kms(), stand.info["aws_alias_arn"]
    for name in (stand.key, alias, "alias/coffer", stand.key.rsplit("/", 1)[1]):
        answer = kms.encrypt(KeyId=name, Plaintext=bytes(32), EncryptionContext=CONTEXT)
        assert answer["KeyId"] == stand.key
        blob = answer["CiphertextBlob"]
        assert bytes(32) not in blob
        assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == bytes(32)
        opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=name)
        assert (opened["Plaintext"], opened["KeyId"]) == (bytes(32), stand.key)


def test_a_data_key_comes_in_the_clear_and_sealed(stand: Stand) -> None:
    stand.control.set_role_actions(stand.role, ["kms:*"])
    kms = stand.kms()
    made = kms.generate_data_key(KeyId=stand.key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert len(made["Plaintext"]) == 32
    assert opened["Plaintext"] == made["Plaintext"]
    refused("ValidationException", kms.generate_data_key, KeyId=stand.key)


@pytest.mark.parametrize(
    "context", [{}, {"tenant": "t1"}, {**CONTEXT, "tenant": "t2"}, {"tenan": "tt1", "key": "k1"}]
)
def test_another_context_does_not_open(stand: Stand, context: dict[str, str]) -> None:
    kms = stand.kms()
    blob = kms.encrypt(KeyId=stand.key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    refused(
        "InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=context
    )


def test_a_changed_or_invented_ciphertext_does_not_open(stand: Stand) -> None:
    kms = stand.kms()
    blob = kms.encrypt(KeyId=stand.key, Plaintext=b"x" * 32)["CiphertextBlob"]
    for broken in (blob[:-1] + bytes([blob[-1] ^ 1]), blob[:-20], b"rubbish", b"r" * 200):
        refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=broken, KeyId=stand.key)


def test_naming_another_key_is_an_incorrect_key(stand: Stand) -> None:
    owner = stand.kms(stand.owner)
    other = owner.create_key()["KeyMetadata"]["Arn"]
    blob = owner.encrypt(KeyId=stand.key, Plaintext=b"x")["CiphertextBlob"]
    refused("IncorrectKeyException", owner.decrypt, CiphertextBlob=blob, KeyId=other)


def test_a_moved_alias_leaves_old_ciphertexts_with_the_old_key(stand: Stand) -> None:
    owner = stand.kms(stand.owner)
    blob = owner.encrypt(KeyId="alias/coffer", Plaintext=b"x")["CiphertextBlob"]
    other = owner.create_key()["KeyMetadata"]["Arn"]
    owner.update_alias(AliasName="alias/coffer", TargetKeyId=other)
    assert owner.encrypt(KeyId="alias/coffer", Plaintext=b"x")["KeyId"] == other
    refused("IncorrectKeyException", owner.decrypt, CiphertextBlob=blob, KeyId="alias/coffer")
    assert owner.decrypt(CiphertextBlob=blob, KeyId=stand.key)["Plaintext"] == b"x"


def test_an_alias_is_made_once_and_moved_only_when_it_exists(stand: Stand) -> None:
    owner = stand.kms(stand.owner)
    owner.create_alias(AliasName="alias/second", TargetKeyId=stand.key)
    name = {"AliasName": "alias/second", "TargetKeyId": stand.key}
    refused("AlreadyExistsException", owner.create_alias, **name)
    refused("NotFoundException", owner.update_alias, **{**name, "AliasName": "alias/third"})
    refused("InvalidAliasNameException", owner.create_alias, **{**name, "AliasName": "alias/aws/s"})


def test_material_from_before_a_rotation_still_opens(stand: Stand) -> None:
    kms = stand.kms()
    before = kms.encrypt(KeyId=stand.key, Plaintext=b"old")["CiphertextBlob"]
    stand.kms(stand.owner).rotate_key_on_demand(KeyId=stand.key)
    assert stand.control.rotate(stand.key).generations == 3
    after = kms.encrypt(KeyId=stand.key, Plaintext=b"new")["CiphertextBlob"]
    old, new = kms.decrypt(CiphertextBlob=before), kms.decrypt(CiphertextBlob=after)
    assert (old["Plaintext"], new["Plaintext"]) == (b"old", b"new")
    assert old["KeyMaterialId"] != new["KeyMaterialId"]


def test_more_than_4096_bytes_are_refused(stand: Stand) -> None:
    kms = stand.kms()
    kms.encrypt(KeyId=stand.key, Plaintext=bytes(4096))
    refused("ValidationException", kms.encrypt, KeyId=stand.key, Plaintext=bytes(4097))


def test_a_dry_run_changes_nothing_and_says_that_it_would_have_worked(stand: Stand) -> None:
    refused(
        "DryRunOperationException",
        stand.kms().encrypt,
        KeyId=stand.key,
        Plaintext=b"x",
        DryRun=True,
    )
    stand.control.disable(stand.key)
    refused("DisabledException", stand.kms().encrypt, KeyId=stand.key, Plaintext=b"x", DryRun=True)


def test_an_operation_that_is_not_served_is_refused(stand: Stand) -> None:
    refused("UnknownOperationException", stand.kms().list_keys)
