"""AWS's error codes to reasons and hints. Pure: only codes and HTTP statuses, never AWS's own text.

Source: AWS KMS API Reference, errors of Encrypt and Decrypt; AWS STS API Reference, AssumeRole and common
errors. moto's KMS answers a denial with the code `403`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.kms.model import Reason, WrapError

_SERVER_ERROR: Final = 500
_FORBIDDEN: Final = 403
_BAD_REQUEST: Final = 400


class Action(StrEnum):
    """The permission that a call needs."""

    ASSUME_ROLE = "sts:AssumeRole"
    ENCRYPT = "kms:Encrypt"
    DECRYPT = "kms:Decrypt"


@dataclass(frozen=True, slots=True)
class Parties:
    """Who calls what: the operator's principal (None when not told by the settings), role and key."""

    principal_arn: str | None
    role_arn: str
    external_id: str
    region: str
    key_ref: str


@dataclass(frozen=True, slots=True)
class AwsFault:
    """What AWS answered: an error code and the HTTP status; (`""`, 0) when it did not answer."""

    code: str
    http_status: int


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
        "429",
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
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "403"})
_TRANSIENT: Final = frozenset(
    {
        "RequestTimeout",
        "RequestTimeoutException",
        "PriorRequestNotComplete",
        "TransactionInProgressException",
        "408",
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
    "KMSInvalidStateException": Reason.KEY_DISABLED,
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
    text = _STATES.get(fault.code) or _HINTS[reason]
    return text.format(
        action=action,
        field=field,
        key=parties.key_ref,
        region=parties.region,
        role=parties.role_arn,
    )


def _trust_hint(parties: Parties) -> str:
    principal = parties.principal_arn or "the platform's principal (GET /admin/tenant-kms/setup)"
    return (
        f"The trust policy of {parties.role_arn} must allow sts:AssumeRole to {principal}, with"
        f' "Condition": {{"StringEquals": {{"sts:ExternalId": "{parties.external_id}"}}}}. The role must'
        " exist."
    )


_STATES: Final = {
    "DisabledException": "The key {key} in {region} is disabled. Enable it.",
    "KMSInvalidStateException": "The key {key} in {region} is in a state in which it cannot be used, such as"
    " pending deletion or pending import. Cancel its deletion and enable it, or import its material.",
}
"""The state seen, as far as the code tells it."""
_HINTS: Final = {
    Reason.ACCESS_DENIED: "Allow {action} on {key} to the principal {role}, in a policy of that role and"
    " in the key's policy; also look for an explicit Deny.",
    Reason.KEY_NOT_FOUND: "There is no key or alias {key} in {region}. Looked for with {action} as {role}.",
    Reason.KEY_DISABLED: "The key {key} in {region} is not in state Enabled.",
    Reason.KEY_UNSUITABLE: "The key {key} in {region} cannot do this. Needed: a symmetric key, spec"
    " SYMMETRIC_DEFAULT, usage ENCRYPT_DECRYPT.",
    Reason.INVALID_REQUEST: "AWS refused the request {action}. Check {field} and config.region.",
    Reason.THROTTLED: "AWS limits the rate of {action}. Nothing was changed; a retry is safe.",
    Reason.UNREACHABLE: "AWS in {region} did not answer {action}. Nothing was changed; a retry is safe.",
    Reason.ROUNDTRIP_MISMATCH: "The key {key} in {region} did not give back what was wrapped by it: it must"
    " not be used.",
}
