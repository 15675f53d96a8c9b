"""Every state a customer's key can be in gives the code AWS gives."""

from __future__ import annotations

import pytest

from devcloud.aws.model import KeyState, KeyUsage
from tests.integration.devcloud.stand import CONTEXT, Stand, refused

ANY_REGION = "us-east-1"


def sealed(stand: Stand) -> bytes:
    return stand.kms().encrypt(KeyId=stand.key, Plaintext=b"x", EncryptionContext=CONTEXT)[
        "CiphertextBlob"
    ]


def assert_unusable(stand: Stand, code: str, blob: bytes) -> None:
    kms = stand.kms(stand.owner)
    refused(code, kms.encrypt, KeyId=stand.key, Plaintext=b"x")
    refused(code, kms.generate_data_key, KeyId=stand.key, KeySpec="AES_256")
    refused(code, kms.decrypt, KeyId=stand.key, CiphertextBlob=blob, EncryptionContext=CONTEXT)


def test_a_disabled_key_refuses_and_works_again_when_enabled(stand: Stand) -> None:
    blob, owner = sealed(stand), stand.kms(stand.owner)
    owner.disable_key(KeyId=stand.key)
    assert_unusable(stand, "DisabledException", blob)
    shown = stand.kms().describe_key(KeyId=stand.key)["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"]) == ("Disabled", False)
    owner.enable_key(KeyId=stand.key)
    assert stand.kms().decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"x"


def test_a_key_pending_deletion_refuses_until_cancelled_and_enabled(stand: Stand) -> None:
    blob, owner = sealed(stand), stand.kms(stand.owner)
    owner.schedule_key_deletion(KeyId=stand.key, PendingWindowInDays=7)
    assert_unusable(stand, "KMSInvalidStateException", blob)
    refused("KMSInvalidStateException", owner.enable_key, KeyId=stand.key)
    shown = stand.kms().describe_key(KeyId=stand.key)["KeyMetadata"]
    assert shown["KeyState"] == "PendingDeletion"
    assert "DeletionDate" in shown
    owner.cancel_key_deletion(KeyId=stand.key)
    assert_unusable(stand, "DisabledException", blob)
    refused("KMSInvalidStateException", owner.cancel_key_deletion, KeyId=stand.key)
    owner.enable_key(KeyId=stand.key)
    assert stand.kms().decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"x"


def test_a_key_that_is_gone_is_not_found(stand: Stand) -> None:
    blob = sealed(stand)
    stand.control.set_key_state(stand.key, KeyState.GONE)
    assert_unusable(stand, "NotFoundException", blob)
    kms = stand.kms()
    refused("NotFoundException", kms.describe_key, KeyId=stand.info["aws_alias_arn"])
    # Without a key in the request AWS does not say whether the blob's key ever existed.
    refused("AccessDeniedException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)


def test_the_key_policy_can_deny_one_operation(stand: Stand) -> None:
    blob, kms = sealed(stand), stand.kms()
    stand.control.deny(stand.key, ["kms:Decrypt"])
    error = refused("AccessDeniedException", kms.decrypt, CiphertextBlob=blob)
    assert "kms:Decrypt" in error.response["Error"]["Message"]
    assert "explicit deny" in error.response["Error"]["Message"]
    kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    stand.control.allow(stand.key)
    kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)


def test_a_role_without_the_permission_is_denied_at_its_next_request(stand: Stand) -> None:
    kms = stand.kms()
    refused("AccessDeniedException", kms.disable_key, KeyId=stand.key)
    stand.control.set_role_actions(stand.role, ["kms:DescribeKey"])
    error = refused("AccessDeniedException", kms.encrypt, KeyId=stand.key, Plaintext=b"x")
    assert "identity-based" in error.response["Error"]["Message"]
    kms.describe_key(KeyId=stand.key)


def test_a_key_of_another_account_is_denied(stand: Stand) -> None:
    other = stand.control.create_customer(external_id="coffer-tenant-2")
    refused("AccessDeniedException", stand.kms().encrypt, KeyId=other.key_arn, Plaintext=b"x")
    own = stand.kms(stand.assume(RoleArn=other.role_arn, ExternalId="coffer-tenant-2"))
    own.encrypt(KeyId=other.alias_arn, Plaintext=b"x")
    refused("AccessDeniedException", stand.kms(stand.operator).describe_key, KeyId=stand.key)


def test_the_wrong_kind_of_key_is_refused(stand: Stand) -> None:
    account, region = stand.key.split(":")[4], stand.info["aws_region"]
    for spec, usage in (
        ("HMAC_256", KeyUsage.GENERATE_VERIFY_MAC),
        ("RSA_2048", KeyUsage.SIGN_VERIFY),
        ("RSA_2048", KeyUsage.ENCRYPT_DECRYPT),
    ):
        key = stand.control.create_key(account=account, region=region, spec=spec, usage=usage)
        refused("InvalidKeyUsageException", stand.kms().encrypt, KeyId=key.arn, Plaintext=b"x")
        assert stand.kms().describe_key(KeyId=key.arn)["KeyMetadata"]["KeySpec"] == spec


def test_a_key_lives_in_one_region(stand: Stand) -> None:
    elsewhere = stand.kms(region=ANY_REGION)
    refused("NotFoundException", elsewhere.encrypt, KeyId=stand.key, Plaintext=b"x")
    refused("NotFoundException", elsewhere.encrypt, KeyId="alias/coffer", Plaintext=b"x")


def test_a_key_that_is_not_there_is_denied_where_the_role_does_not_cover_it(stand: Stand) -> None:
    missing = stand.key.rsplit("/", 1)[0] + "/3f1c0000-0000-4000-8000-000000000000"
    refused("NotFoundException", stand.kms().encrypt, KeyId=missing, Plaintext=b"x")
    stand.control.set_role_actions(stand.role, ["kms:DescribeKey"])
    refused("AccessDeniedException", stand.kms().encrypt, KeyId=missing, Plaintext=b"x")
    foreign = missing.replace(stand.key.split(":")[4], "999988887777")
    refused("AccessDeniedException", stand.kms().describe_key, KeyId=foreign)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("alias/none", "NotFoundException"),
        ("3f1c0000-0000-4000-8000-000000000000", "NotFoundException"),
        ("arn:aws:kms:eu-central-1:444455556666:alias/none", "NotFoundException"),
        ("arn:aws:s3:eu-central-1:444455556666:key/x", "InvalidArnException"),
        ("arn:aws:kms", "InvalidArnException"),
    ],
)
def test_a_name_that_means_no_key_is_refused(stand: Stand, name: str, code: str) -> None:
    refused(code, stand.kms().encrypt, KeyId=name, Plaintext=b"x")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-iso-east-1", "aws-iso")],
)
def test_keys_and_aliases_exist_in_every_partition(
    stand: Stand, region: str, partition: str
) -> None:
    operator = stand.control.create_user(account="111122223333", region=region, name="coffer")
    there = stand.control.create_customer(
        external_id="coffer-x", region=region, operator_arn=operator.arn
    )
    assert {there.key_arn.split(":")[1], there.role_arn.split(":")[1]} == {partition}
    stand.info |= {
        "aws_access_key_id": operator.access_key_id,
        "aws_secret_access_key": operator.secret_access_key,
    }
    session = stand.assume(RoleArn=there.role_arn, ExternalId="coffer-x")
    kms = stand.kms(session, region=region)
    for name in (there.key_arn, there.alias_arn, "alias/coffer"):
        assert kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"] == there.key_arn
