"""Which key a KMS request means, and whether the caller may use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcloud.aws import blob
from devcloud.aws.arn import Arn, alias_arn, key_arn, parse_arn
from devcloud.aws.cloud import visible
from devcloud.aws.errors import AwsError, key_not_found
from devcloud.aws.model import Caller, Key, KeyState, matches
from devcloud.ciphertexts import CiphertextError

if TYPE_CHECKING:
    from devcloud.aws.cloud import Cloud
    from devcloud.aws.params import Params
    from devcloud.ciphertexts import Ciphertext


@dataclass(frozen=True, slots=True)
class KmsCall:
    """One authenticated KMS request."""

    operation: str
    caller: Caller
    region: str
    params: Params


class Access:
    """Key lookup and authorisation for the KMS operations."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def named(self, call: KmsCall, name: str, *, aliases: bool = True) -> Key:
        """The key an id, key ARN, alias name or alias ARN means, in the request's region.

        Ids and alias names are looked up in the caller's account. Raises AwsError
        NotFoundException or InvalidArnException, and AccessDeniedException where the caller's own
        policy does not even cover a key that is not there: AWS asks the policy first. A key that
        is there has still to be authorised.
        """
        arn = self._key_arn(call, name, aliases=aliases)
        key = visible(self._cloud.key(arn))
        if key is None:
            _require_identity_policy(call, arn)
            raise key_not_found(arn)
        return key

    def of_blob(self, call: KmsCall, parsed: Ciphertext) -> Key:
        """The key a ciphertext names. Raises AwsError AccessDeniedException.

        AWS does not tell a key of another account or region, or a deleted one, from a forbidden
        one when the request names no key.
        """
        arn = key_arn(call.region, call.caller.account, parsed.key_id)
        key = visible(self._cloud.key(arn))
        if key is None:
            raise AwsError(
                "AccessDeniedException",
                "The ciphertext refers to a customer master key that does not exist, does not "
                "exist in this region, or you are not allowed to access.",
            )
        return key

    def meant(self, call: KmsCall) -> str | None:
        """The key ARN a request is about, as far as it can be told, for counters and faults."""
        try:
            name = call.params.optional_text("KeyId") or call.params.optional_text("TargetKeyId")
            if name:
                return self._key_arn(call, name, aliases=True)
            if call.operation == "Decrypt":
                parsed = blob.parse(call.params.blob("CiphertextBlob", 1 << 16))
                return key_arn(call.region, call.caller.account, parsed.key_id)
        except (AwsError, CiphertextError):
            return None
        return None

    def _key_arn(self, call: KmsCall, name: str, *, aliases: bool) -> str:
        if name.startswith("arn:"):
            if _kms_arn(name, call.region).resource.startswith("key/"):
                return name
            alias = name
        elif name.startswith("alias/"):
            alias = alias_arn(call.region, call.caller.account, name)
        else:
            return key_arn(call.region, call.caller.account, name)
        if not aliases:
            raise AwsError("NotFoundException", f"Invalid keyId {name}")
        target = self._cloud.alias_target(alias)
        if target is None:
            raise AwsError("NotFoundException", f"Alias {alias} is not found.")
        return target


def authorize(call: KmsCall, key: Key) -> None:
    """Refuse what the caller's policy or the key's does not allow. Raises AccessDeniedException."""
    action = f"kms:{call.operation}"
    if matches(key.denied, action):
        raise _denied(call, key.arn, "with an explicit deny in a resource-based policy")
    if call.caller.account != key.account:
        raise _denied(call, key.arn, f"because no resource-based policy allows the {action} action")
    _require_identity_policy(call, key.arn)


def require_enabled(key: Key) -> None:
    """Refuse a key that is disabled (DisabledException) or on its way out."""
    if key.state is KeyState.DISABLED:
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    refuse_pending(key)


def refuse_pending(key: Key) -> None:
    """Refuse a key that is pending deletion: KMSInvalidStateException."""
    if key.state is KeyState.PENDING_DELETION:
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def _require_identity_policy(call: KmsCall, arn: str) -> None:
    action = f"kms:{call.operation}"
    if not (matches(call.caller.actions, action) and matches(call.caller.resources, arn)):
        raise _denied(call, arn, f"because no identity-based policy allows the {action} action")


def _denied(call: KmsCall, arn: str, reason: str) -> AwsError:
    return AwsError(
        "AccessDeniedException",
        f"User: {call.caller.arn} is not authorized to perform: kms:{call.operation} "
        f"on resource: {arn} {reason}",
    )


def _kms_arn(text: str, region: str) -> Arn:
    try:
        arn = parse_arn(text)
    except ValueError as error:
        raise AwsError("InvalidArnException", f"{text} is not a valid ARN") from error
    if arn.service != "kms" or not arn.resource.startswith(("key/", "alias/")):
        raise AwsError("InvalidArnException", f"{text} is not the ARN of a key or alias")
    if arn.region != region:
        raise AwsError("NotFoundException", f"Invalid arn {arn.region}")
    return arn
