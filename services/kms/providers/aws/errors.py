"""AWS's error codes to reasons and hints. Pure: only codes and HTTP statuses, never AWS's own text.

What has no code of AWS's is no word of AWS: a proxy's or gateway's page, whatever its status. botocore puts
the status in the code's place, or leaves it empty. It is `unreachable`, which never drops a key still in its
life; a definite reason would, in every process at once.

Source: AWS KMS API Reference, errors of Encrypt and Decrypt; AWS STS API Reference, AssumeRole and common
errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.kms.model import Reason, WrapError
from services.kms.providers.aws import key_stores

_UNNAMED_PRINCIPAL: Final = "the platform's principal (GET /admin/tenant-kms/setup)"
_SERVER_ERROR: Final = 500
_FORBIDDEN: Final = 403
_BAD_REQUEST: Final = 400


class Action(StrEnum):
    """The permission that a call needs."""

    ASSUME_ROLE = "sts:AssumeRole"
    ENCRYPT = "kms:Encrypt"
    DECRYPT = "kms:Decrypt"

    @property
    def operation(self) -> str:
        """The call itself, as the SDK names it."""
        return self.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Parties:
    """Who calls what: the operator's principal (None when not told by the settings), role and key.

    Without a role the operator's principal uses the key itself: a key of his own.
    """

    principal_arn: str | None
    role_arn: str | None
    external_id: str
    region: str
    key_ref: str

    @property
    def platform(self) -> str:
        """The operator's principal, as a hint names it."""
        return self.principal_arn or _UNNAMED_PRINCIPAL

    @property
    def grantable(self) -> str:
        """The key as a policy must name it."""
        if ":alias/" in self.key_ref:
            return f"the key behind {self.key_ref} (its key ARN, not the alias)"
        return self.key_ref

    def caller(self, action: Action) -> str:
        """Who needs the permission."""
        if action is Action.ASSUME_ROLE:
            return self.platform
        return self.role_arn or self.platform


@dataclass(frozen=True, slots=True)
class AwsFault:
    """What AWS answered: an error code and the HTTP status; nothing when it did not answer.

    `mention`: what its message says about the key's store, where the code does not tell.
    """

    code: str = ""
    http_status: int = 0
    mention: key_stores.Mention | None = None


SESSION_CODES: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)
"""KMS does not know the session (any more): a new one may help, once."""

_THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "BandwidthLimitExceeded",
        "SlowDown",
    }
)
NO_IDENTITY: Final = "NoCredentials"
"""The process has no AWS identity, or cannot get at it. Not a code of AWS."""
_OUR_IDENTITY: Final = SESSION_CODES | {
    NO_IDENTITY,
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidSignatureException",
    "OptInRequired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
}
"""AWS does not accept the platform's own identity. No word about the customer's key, so nothing is sealed for
it as if the customer had refused."""
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized"})
_TRANSIENT: Final = frozenset(
    {
        "RequestTimeout",
        "RequestTimeoutException",
        "PriorRequestNotComplete",
        "TransactionInProgressException",
    }
)
"""No answer yet, though the status is 4xx; the first three as botocore's standard retries know them."""
_TRANSIENT_STATUSES: Final = {
    408: Reason.UNREACHABLE,
    425: Reason.UNREACHABLE,
    429: Reason.THROTTLED,
}
_GROUPS: Final = (
    (_TRANSIENT, Reason.UNREACHABLE),
    (_THROTTLED, Reason.THROTTLED),
    (_OUR_IDENTITY, Reason.UNREACHABLE),
    (_DENIED, Reason.ACCESS_DENIED),
)
_BY_CODE: Final = {
    "NotFoundException": Reason.KEY_NOT_FOUND,
    "DisabledException": Reason.KEY_DISABLED,
    key_stores.STATE_CODE: Reason.KEY_DISABLED,
    "InvalidKeyUsageException": Reason.KEY_UNSUITABLE,
    "UnsupportedOperationException": Reason.KEY_UNSUITABLE,
    "IncorrectKeyException": Reason.ROUNDTRIP_MISMATCH,
    "InvalidCiphertextException": Reason.ROUNDTRIP_MISMATCH,
    "InvalidArnException": Reason.INVALID_REQUEST,
    "ValidationException": Reason.INVALID_REQUEST,
    "ValidationError": Reason.INVALID_REQUEST,
    "RegionDisabledException": Reason.INVALID_REQUEST,
    "KeyUnavailableException": Reason.UNREACHABLE,
    "DependencyTimeoutException": Reason.UNREACHABLE,
    "KMSInternalException": Reason.UNREACHABLE,
    "InternalFailure": Reason.UNREACHABLE,
    "ServiceUnavailable": Reason.UNREACHABLE,
}


def reason_of(fault: AwsFault) -> Reason:
    """What an answer means. Unknown codes go by their HTTP status."""
    if not fault.code or fault.code.isdigit():
        return _TRANSIENT_STATUSES.get(fault.http_status, Reason.UNREACHABLE)
    if fault.mention is not None:
        return key_stores.REASONS[fault.mention]
    for codes, reason in _GROUPS:
        if fault.code in codes:
            return reason
    known = _BY_CODE.get(fault.code) or _TRANSIENT_STATUSES.get(fault.http_status)
    if known is None and fault.http_status == _FORBIDDEN:
        return Reason.ACCESS_DENIED
    if known is None and _BAD_REQUEST <= fault.http_status < _SERVER_ERROR:
        return Reason.INVALID_REQUEST
    return known or Reason.UNREACHABLE


def wrap_error(fault: AwsFault, action: Action, parties: Parties) -> WrapError:
    """The error that a tenant's administrator can act upon."""
    reason = reason_of(fault)
    if reason is Reason.UNREACHABLE and fault.code in _OUR_IDENTITY:
        return WrapError(
            reason,
            "AWS does not accept the platform's own identity at present; its operator has to look."
            " Nothing was changed, and a retry is safe.",
        )
    return WrapError(reason, _hint(fault, reason, action, parties))


def _hint(fault: AwsFault, reason: Reason, action: Action, parties: Parties) -> str:
    if reason is Reason.ACCESS_DENIED and action is Action.ASSUME_ROLE:
        return _trust_hint(parties)
    field = "config.role_arn" if action is Action.ASSUME_ROLE else "kms_key_ref"
    if fault.mention is not None:
        text = key_stores.HINTS[fault.mention]
    else:
        text = _STATES.get(fault.code) or _HINTS[reason]
    return text.format(
        action=action,
        field=field,
        key=parties.key_ref,
        grantable=parties.grantable,
        region=parties.region,
        principal=parties.caller(action),
    )


def _trust_hint(parties: Parties) -> str:
    return (
        f"The trust policy of {parties.role_arn} must allow sts:AssumeRole to {parties.platform}, with"
        f' "Condition": {{"StringEquals": {{"sts:ExternalId": "{parties.external_id}"}}}}. The role must'
        f" exist. Without it {parties.key_ref} cannot be used. If all that is so, ask the platform's"
        f" operator: AWS says the same where {parties.platform} itself lacks sts:AssumeRole on the role."
    )


_STATES: Final = {
    "DisabledException": "The key {key} in {region} is disabled, says AWS to {action} by {principal}."
    " Enable it.",
    key_stores.STATE_CODE: "The key {key} in {region} is in a state in which it cannot be used, such as"
    " pending deletion or pending import, says AWS to {action} by {principal}. Cancel its deletion and enable"
    " it, or import its material.",
}
"""The state seen, as far as the code tells it."""
_HINTS: Final = {
    Reason.ACCESS_DENIED: "Allow {action} on {grantable} to the principal {principal}, in one of its"
    " policies and in the key's policy; also look for an explicit Deny.",
    Reason.KEY_NOT_FOUND: "There is no key or alias {key} in {region}. Looked for with {action} as"
    " {principal}.",
    Reason.KEY_DISABLED: "The key {key} in {region} is not in state Enabled, says AWS to {action} by"
    " {principal}. Enable it.",
    Reason.KEY_UNSUITABLE: "The key {key} in {region} cannot do {action}, tried by {principal}. Needed: a"
    " symmetric key, spec SYMMETRIC_DEFAULT, usage ENCRYPT_DECRYPT.",
    Reason.INVALID_REQUEST: "AWS refused the request {action} by {principal} for {key}. Check {field} and"
    " config.region.",
    Reason.THROTTLED: "AWS limits the rate of {action} by {principal} for {key}. Nothing was changed; a retry"
    " is safe.",
    Reason.UNREACHABLE: "AWS in {region} did not answer {action} by {principal} for {key}. Nothing was"
    " changed; a retry is safe.",
    Reason.ROUNDTRIP_MISMATCH: "The key {key} in {region} did not give back what was wrapped by it, asked"
    " with {action} by {principal}: it must not be used.",
}


def mismatch(parties: Parties) -> WrapError:
    """What came back cannot be what was wrapped."""
    return WrapError(
        Reason.ROUNDTRIP_MISMATCH,
        _hint(AwsFault(), Reason.ROUNDTRIP_MISMATCH, Action.DECRYPT, parties),
    )


def another_key(parties: Parties) -> WrapError:
    """What wrapped, by AWS's own word, is not what was asked to."""
    return WrapError(
        Reason.ROUNDTRIP_MISMATCH,
        f"What answered {Action.ENCRYPT} by {parties.caller(Action.ENCRYPT)} for {parties.key_ref} in"
        f" {parties.region} says that it used another key: what it wrapped must not be used.",
    )
