"""Google's statuses and machine-readable reasons to reasons and hints. Pure: none of Google's text.

Told apart by, in this order: types in google.rpc.PreconditionFailure (KEY_DISABLED, CRYPTO_SCHEME_MISMATCH,
EXTERNAL_...), reasons in google.rpc.ErrorInfo, the canonical status. Words of Google's message are looked at
(`Mention`) only where nothing else tells, and only to choose among definite reasons or to allow one more try.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from services.kms.model import Reason, WrapError
from services.kms.providers.gcp.hints import hint


class Action(StrEnum):
    """The permission that a call needs."""

    LOGIN = "iam.serviceAccounts.getAccessToken"
    ENCRYPT = "cloudkms.cryptoKeyVersions.useToEncrypt"
    DECRYPT = "cloudkms.cryptoKeyVersions.useToDecrypt"


class Mention(StrEnum):
    """What Google's message is about, where only the message tells."""

    PURPOSE = "purpose"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Parties:
    """Who calls what.

    `principal` is the operator's, None when the settings do not tell; `account` the service account, None
    when the operator's identity itself calls; `version` the one that wrapped, where that is known.
    """

    principal: str | None
    account: str | None
    key: str
    version: str | None = None
    quota_project: str | None = None


@dataclass(frozen=True, slots=True)
class GcpFault:
    """What Google answered: a canonical status name, `""` when it did not answer or not in Google's form.

    `reason` is ErrorInfo's; `violations` are PreconditionFailure's types. `own`: it is the platform's own
    identity that did not work, whoever said so. `mismatch`: the answer was checked, and is wrong.
    """

    status: str = ""
    reason: str = ""
    violations: tuple[str, ...] = ()
    mention: Mention | None = None
    own: bool = False
    mismatch: bool = False


OWN_IDENTITY: Final = GcpFault(own=True)
"""The process has no Google identity, or Google does not accept it. No word about a customer's key."""
MISMATCH: Final = GcpFault(mismatch=True)

_TOKEN_REASONS: Final = frozenset(
    {
        "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        "CREDENTIALS_MISSING",
        "CREDENTIAL_TYPE_UNSUPPORTED",
        "JWT_TOKEN_INVALID",
    }
)
"""The token is not good (any more): no word about the key."""
_OUR_PROJECT: Final = frozenset(
    {
        "BILLING_DISABLED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "GCP_SUSPENDED",
        "RESOURCE_PROJECT_INVALID",
        "SERVICE_DISABLED",
        "USER_PROJECT_DENIED",
    }
)
"""About the project that calls. Impersonation is called from the operator's."""
_REASONS: Final = {
    "RATE_LIMIT_EXCEEDED": Reason.THROTTLED,
    "RESOURCE_QUOTA_EXCEEDED": Reason.THROTTLED,
    "ACCOUNT_STATE_INVALID": Reason.ACCESS_DENIED,
    **dict.fromkeys(_TOKEN_REASONS, Reason.UNREACHABLE),
    **dict.fromkeys(_OUR_PROJECT, Reason.ACCESS_DENIED),
}
_STATUSES: Final = {
    "PERMISSION_DENIED": Reason.ACCESS_DENIED,
    "NOT_FOUND": Reason.KEY_NOT_FOUND,
    "INVALID_ARGUMENT": Reason.INVALID_REQUEST,
    "OUT_OF_RANGE": Reason.INVALID_REQUEST,
    "RESOURCE_EXHAUSTED": Reason.THROTTLED,
}
"""Others are no answer about the key: UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, ABORTED, UNIMPLEMENTED..."""
_VIOLATIONS: Final = {
    "CRYPTO_SCHEME_MISMATCH": Reason.KEY_UNSUITABLE,
    "EXTERNAL_PERMISSION_DENIED": Reason.ACCESS_DENIED,
    "EXTERNAL_NOT_FOUND": Reason.KEY_NOT_FOUND,
}
_KEY_STATE: Final = "KEY_"
_EXTERNAL: Final = "EXTERNAL_"


def reason_of(fault: GcpFault, action: Action) -> Reason:
    """What an answer means."""
    if fault.mismatch:
        return Reason.ROUNDTRIP_MISMATCH
    if fault.own:
        return Reason.UNREACHABLE
    if action is Action.LOGIN and fault.status in {"NOT_FOUND", "FAILED_PRECONDITION"}:
        return Reason.ACCESS_DENIED  # no such account, or it is disabled
    if fault.status == "FAILED_PRECONDITION":
        return _precondition_reason(fault)
    if fault.status == "INVALID_ARGUMENT" and action is not Action.LOGIN:
        return _argument_reason(fault, action)
    return _REASONS.get(fault.reason) or _STATUSES.get(fault.status) or Reason.UNREACHABLE


def is_stale_token(fault: GcpFault) -> bool:
    """Whether the token was refused and not the request: a new one may help, once."""
    return fault.status == "UNAUTHENTICATED" or fault.reason in _TOKEN_REASONS


def attributed(fault: GcpFault, action: Action, *, direct: bool) -> GcpFault:
    """The fault, marked as our own where it is. `direct`: the call is made by the platform's own identity."""
    ours = action is Action.LOGIN or direct
    theirs = not is_stale_token(fault)
    if action is Action.LOGIN and fault.reason in _OUR_PROJECT:
        theirs = False
    return replace(fault, own=fault.own or (ours and not theirs))


def may_help_to_repeat(fault: GcpFault, action: Action) -> bool:
    """Whether the same request may have another outcome: no definite answer, or one damaged on its way."""
    damaged = fault.mismatch or fault.mention is Mention.CHECKSUM
    return damaged or not reason_of(fault, action).definite


def wrap_error(fault: GcpFault, action: Action, parties: Parties) -> WrapError:
    """The error that a tenant's administrator can act upon."""
    reason = reason_of(fault, action)
    about = "own" if fault.own else _about(fault, reason, action)
    login = action is Action.LOGIN
    return WrapError(reason, hint(about, reason, action.value, parties, login=login))


def _precondition_reason(fault: GcpFault) -> Reason:
    if any(one.startswith(_KEY_STATE) for one in fault.violations):
        return Reason.KEY_DISABLED
    for one in fault.violations:
        if one in _VIOLATIONS:
            return _VIOLATIONS[one]
    if any(one.startswith(_EXTERNAL) for one in fault.violations):
        return Reason.UNREACHABLE  # Google could not ask the external key manager
    if fault.mention is Mention.PURPOSE:
        return Reason.KEY_UNSUITABLE
    return _REASONS.get(fault.reason) or Reason.KEY_DISABLED


def _argument_reason(fault: GcpFault, action: Action) -> Reason:
    if fault.mention is Mention.PURPOSE:
        return Reason.KEY_UNSUITABLE
    if fault.mention is Mention.CHECKSUM or action is Action.DECRYPT:
        # All else of a Decrypt is checked before: it is the ciphertext, its additional data or its key.
        return Reason.ROUNDTRIP_MISMATCH
    return Reason.INVALID_REQUEST


def _about(fault: GcpFault, reason: Reason, action: Action) -> str:
    """The text that says most, by name: a violation or a reason that has one, else the action or reason."""
    if reason is Reason.ACCESS_DENIED and action is Action.LOGIN:
        return "login"
    for one in (*fault.violations, fault.reason):
        if one and (one in _REASONS or one in _VIOLATIONS or one.startswith(_KEY_STATE)):
            return one
    if reason is Reason.INVALID_REQUEST and action is Action.LOGIN:
        return "login_request"
    return ""
