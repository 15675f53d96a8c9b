"""KMS's key management operations: making, describing, disabling and deleting keys; aliases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from devcloud.aws.access import Access, KmsCall, authorize, refuse_pending, require_enabled
from devcloud.aws.arn import alias_arn
from devcloud.aws.errors import AwsError, validation
from devcloud.aws.model import SYMMETRIC, Key, KeyState, KeyUsage, matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.aws.cloud import Cloud

_DAY_SECONDS = 86_400
_MIN_PENDING_DAYS = 7
_MAX_PENDING_DAYS = 30
_RESERVED_ALIAS = "alias/aws/"
_STATE_NAMES = {
    KeyState.ENABLED: "Enabled",
    KeyState.DISABLED: "Disabled",
    KeyState.PENDING_DELETION: "PendingDeletion",
}


class KeyOperations:
    """The operations on keys as such. Each returns the members of its answer."""

    def __init__(self, cloud: Cloud, access: Access) -> None:
        self._cloud = cloud
        self._access = access

    def table(self) -> dict[str, Callable[[KmsCall], dict[str, Any]]]:
        """The operations by name."""
        return {
            "CreateKey": self.create_key,
            "DescribeKey": self.describe_key,
            "EnableKey": self.enable_key,
            "DisableKey": self.disable_key,
            "ScheduleKeyDeletion": self.schedule_key_deletion,
            "CancelKeyDeletion": self.cancel_key_deletion,
            "RotateKeyOnDemand": self.rotate_key_on_demand,
            "CreateAlias": self.create_alias,
            "UpdateAlias": self.update_alias,
        }

    def create_key(self, call: KmsCall) -> dict[str, Any]:
        """A new key in the caller's account and the request's region."""
        _authorize_account(call)
        usage = call.params.optional_text("KeyUsage") or KeyUsage.ENCRYPT_DECRYPT
        if usage not in tuple(KeyUsage):
            raise validation(f"Value '{usage}' at 'keyUsage' failed to satisfy constraint")
        key = self._cloud.create_key(
            account=call.caller.account,
            region=call.region,
            spec=call.params.optional_text("KeySpec") or SYMMETRIC,
            usage=KeyUsage(usage),
        )
        return {"KeyMetadata": _metadata(key)}

    def describe_key(self, call: KmsCall) -> dict[str, Any]:
        """Works in every state of the key but gone."""
        key = self._access.named(call, call.params.text("KeyId"))
        authorize(call, key)
        return {"KeyMetadata": _metadata(key)}

    def enable_key(self, call: KmsCall) -> dict[str, Any]:
        """Not while the key is pending deletion."""
        key = self._managed(call)
        refuse_pending(key)
        self._cloud.change_key(key.arn, state=KeyState.ENABLED)
        return {}

    def disable_key(self, call: KmsCall) -> dict[str, Any]:
        """Not while the key is pending deletion."""
        key = self._managed(call)
        refuse_pending(key)
        self._cloud.change_key(key.arn, state=KeyState.DISABLED)
        return {}

    def schedule_key_deletion(self, call: KmsCall) -> dict[str, Any]:
        """The date is shown, and never comes."""
        days = call.params.optional_number("PendingWindowInDays") or _MAX_PENDING_DAYS
        if not _MIN_PENDING_DAYS <= days <= _MAX_PENDING_DAYS:
            raise validation(f"pendingWindowInDays must be {_MIN_PENDING_DAYS} to 30")
        key = self._managed(call)
        refuse_pending(key)
        date = time.time() + days * _DAY_SECONDS
        self._cloud.change_key(key.arn, state=KeyState.PENDING_DELETION, deletion_at=date)
        return {
            "KeyId": key.arn,
            "DeletionDate": date,
            "KeyState": _STATE_NAMES[KeyState.PENDING_DELETION],
            "PendingWindowInDays": days,
        }

    def cancel_key_deletion(self, call: KmsCall) -> dict[str, Any]:
        """Leaves the key disabled, as AWS does."""
        key = self._managed(call)
        if key.state is not KeyState.PENDING_DELETION:
            raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
        self._cloud.change_key(key.arn, state=KeyState.DISABLED, deletion_at=None)
        return {"KeyId": key.arn}

    def rotate_key_on_demand(self, call: KmsCall) -> dict[str, Any]:
        """New material for new ciphertexts; takes effect at once (AWS needs some minutes)."""
        key = self._managed(call)
        require_enabled(key)
        self._cloud.rotate_key(key.arn)
        return {"KeyId": key.arn}

    def create_alias(self, call: KmsCall) -> dict[str, Any]:
        """Refuses a name that is taken."""
        name, key = self._alias_request(call)
        arn = alias_arn(call.region, key.account, name)
        if self._cloud.alias_target(arn) is not None:
            raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
        self._point(call, name, key)
        return {}

    def update_alias(self, call: KmsCall) -> dict[str, Any]:
        """Moves an alias to another key; what the old key encrypted stays with the old key."""
        name, key = self._alias_request(call)
        arn = alias_arn(call.region, key.account, name)
        if self._cloud.alias_target(arn) is None:
            raise AwsError("NotFoundException", f"Alias {arn} is not found.")
        self._point(call, name, key)
        return {}

    def _managed(self, call: KmsCall) -> Key:
        key = self._access.named(call, call.params.text("KeyId"), aliases=False)
        authorize(call, key)
        return key

    def _alias_request(self, call: KmsCall) -> tuple[str, Key]:
        name = call.params.text("AliasName")
        if not name.startswith("alias/") or name.startswith(_RESERVED_ALIAS):
            raise AwsError("InvalidAliasNameException", f"{name} is not an alias name")
        key = self._access.named(call, call.params.text("TargetKeyId"), aliases=False)
        authorize(call, key)
        refuse_pending(key)
        return name, key

    def _point(self, call: KmsCall, name: str, key: Key) -> None:
        self._cloud.point_alias(account=key.account, region=call.region, name=name, key_arn=key.arn)


def _authorize_account(call: KmsCall) -> None:
    action = f"kms:{call.operation}"
    if not matches(call.caller.actions, action):
        raise AwsError(
            "AccessDeniedException",
            f"User: {call.caller.arn} is not authorized to perform: {action} because no "
            f"identity-based policy allows the {action} action",
        )


def _metadata(key: Key) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "AWSAccountId": key.account,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": key.created_at,
        "Enabled": key.state is KeyState.ENABLED,
        "Description": "",
        "KeyUsage": key.usage,
        "KeyState": _STATE_NAMES[key.state],
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": False,
    }
    if key.spec == SYMMETRIC:
        shown["EncryptionAlgorithms"] = [SYMMETRIC]
        shown["CurrentKeyMaterialId"] = key.materials[-1].id
    if key.deletion_at is not None:
        shown["DeletionDate"] = key.deletion_at
    return shown
