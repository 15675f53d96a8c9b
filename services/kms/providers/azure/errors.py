"""Azure's error codes to reasons. Pure: only codes and HTTP statuses, never Azure's own text.

Three may have answered: the vault, Microsoft's login, or the host's own managed identity endpoint. What has
no code of Azure's is no word of any of them: a proxy's page, garbage, silence. It is `unreachable`, which
never drops a key still in its life; a definite reason would, in every process at once.

Sources: Azure Key Vault REST API error codes; Microsoft identity platform, "Authentication and authorization
error codes" (AADSTS); RFC 6749, 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from services.kms.model import Reason

if TYPE_CHECKING:
    from services.kms.providers.azure.clouds import VaultKey

_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class Action(StrEnum):
    """What is asked: a login of Microsoft Entra ID, an operation of the vault."""

    LOGIN = "login"
    WRAP = "wrapKey"
    UNWRAP = "unwrapKey"


class IdentityKind(StrEnum):
    """How the platform proves to Microsoft Entra ID who it is."""

    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind
    FEDERATED = "federated"
    MANAGED = "managed"


@dataclass(frozen=True, slots=True)
class Parties:
    """Who calls what. `client_id` is None for the host's own (system-assigned) managed identity.

    `own`: the application is the platform's and not the customer's. `env_var` is a name, never its value.
    `refused` is a code of our own why they may not call at all.
    """

    key: VaultKey
    kind: IdentityKind
    azure_tenant_id: str | None
    client_id: str | None
    own: bool
    env_var: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class AzureFault:
    """What was answered: HTTP status, error code, and the more exact code (of `innererror`, or AADSTS).

    (0, `""`) when there was no answer; one of our own codes below where it was not Azure that said so.
    """

    action: Action
    http_status: int = 0
    code: str = ""
    detail: str = ""


NO_SUCH_HOST: Final = "coffer:no_such_host"
"""The name of the vault does not resolve."""
NO_SECRET: Final = "coffer:no_secret"  # noqa: S105 - a code
"""The variable that should hold the client secret is not there."""
NO_IDENTITY: Final = "coffer:no_identity"
"""The platform has no identity, or cannot get at it."""
NO_CLIENT: Final = "coffer:no_client"
"""A client secret without the application or tenant that it belongs to."""
FOREIGN_CHALLENGE: Final = "coffer:foreign_challenge"
"""A challenge that leads to another cloud, or to a token for something else."""
OTHER_TENANT: Final = "coffer:other_tenant"
"""The vault is in another tenant than the configured one."""
REFUSED_TENANT: Final = "coffer:refused_tenant"
"""The vault is in a tenant that the operator refuses, whatever the configuration says."""
NOT_ALLOWED: Final = "coffer:not_allowed"
"""The operator does not, or not any more, allow this tenant the variable that it names."""
HOSTS_IDENTITY: Final = "coffer:hosts_identity"
"""A customer chose among the identities of the host, which are the operator's."""
NOT_AGAIN: Final = frozenset(
    {
        NO_SECRET,
        NO_CLIENT,
        FOREIGN_CHALLENGE,
        OTHER_TENANT,
        REFUSED_TENANT,
        NOT_ALLOWED,
        HOSTS_IDENTITY,
    }
)
"""Trying once more would not help."""

FIREWALL: Final = frozenset({"ForbiddenByFirewall", "ForbiddenByConnection"})
DISABLED: Final = frozenset({"KeyDisabled"})
DELETED: Final = frozenset(
    {"ObjectIsDeletedButRecoverable", "ObjectIsBeingDeleted", "ObjectIsBeingRecovered"}
)
OUT_OF_TIME: Final = frozenset({"KeyExpired", "KeyNotYetValid", "KeyNotYetValidOrExpired"})
_BY_VAULT_CODE: Final = {
    **dict.fromkeys(DISABLED | DELETED | OUT_OF_TIME, Reason.KEY_DISABLED),
    "KeyOperationForbidden": Reason.KEY_UNSUITABLE,
    "Throttled": Reason.THROTTLED,
}
_BY_VAULT_STATUS: Final = {
    _UNAUTHORIZED: Reason.ACCESS_DENIED,
    _FORBIDDEN: Reason.ACCESS_DENIED,
    _NOT_FOUND: Reason.KEY_NOT_FOUND,
    408: Reason.UNREACHABLE,
    409: Reason.UNREACHABLE,
    425: Reason.UNREACHABLE,
    _TOO_MANY: Reason.THROTTLED,
}

NOT_CONSENTED: Final = frozenset({"AADSTS700016", "AADSTS7000229", "AADSTS65001", "AADSTS650052"})
"""The tenant does not know the application: no consent, or taken back."""
DISABLED_APP: Final = frozenset({"AADSTS7000112", "AADSTS7000111"})
WRONG_TENANT: Final = frozenset(
    {"AADSTS90002", "AADSTS900023", "AADSTS900021", "AADSTS900382", "AADSTS500011"}
)
"""No such tenant, or none that has vaults."""
WRONG_SECRET: Final = frozenset({"AADSTS7000215", "AADSTS7000222", "AADSTS7000218"})
NOT_FEDERATED: Final = frozenset(
    {
        "AADSTS70021",
        "AADSTS70025",
        "AADSTS700211",
        "AADSTS700212",
        "AADSTS700213",
        "AADSTS7002131",
    }
)
"""The application does not trust (or no longer trusts) who issued the platform's token, or its subject."""
_BROKEN_ASSERTION: Final = frozenset(
    {
        "AADSTS700024",
        "AADSTS700027",
        "AADSTS50013",
        "AADSTS50027",
        "AADSTS5002723",
        "AADSTS90014",
        "AADSTS900144",
    }
)
"""The platform's token itself is no good: expired, badly signed, not a token, or missing in the request. No
application can mend it."""
CONDITIONAL_ACCESS: Final = frozenset(
    {"AADSTS53000", "AADSTS53001", "AADSTS53002", "AADSTS53003", "AADSTS53004", "AADSTS530034"}
)
"""A policy of the tenant refuses it."""
_TENANTS_WORD: Final = (
    NOT_CONSENTED | DISABLED_APP | WRONG_TENANT | CONDITIONAL_ACCESS | {"consent_required"}
)
"""What the tenant alone decides, also about the platform's own application."""
_PROOF: Final = WRONG_SECRET | NOT_FEDERATED
_LOGIN_TRANSIENT: Final = frozenset(
    {
        "AADSTS90033",
        "AADSTS90006",
        "AADSTS50196",
        "AADSTS90036",
        "temporarily_unavailable",
        "server_error",
    }
)
_LOGIN_THROTTLED: Final = frozenset({"AADSTS90055", "AADSTS90025"})
_LOGIN_DENIED: Final = frozenset(
    {
        "invalid_client",
        "unauthorized_client",
        "access_denied",
        "invalid_grant",
        "consent_required",
        "interaction_required",
    }
)
_LOGIN_INVALID: Final = frozenset({"invalid_request", "invalid_scope", "invalid_resource"})
_LOGIN_REASONS: Final = (
    (_LOGIN_TRANSIENT | _BROKEN_ASSERTION, Reason.UNREACHABLE),
    (WRONG_TENANT, Reason.INVALID_REQUEST),
    (
        NOT_CONSENTED | DISABLED_APP | CONDITIONAL_ACCESS | _PROOF | _LOGIN_DENIED,
        Reason.ACCESS_DENIED,
    ),
    (_LOGIN_INVALID, Reason.INVALID_REQUEST),
)
"""The more exact first: the same OAuth code is said for many things."""


def is_operators(fault: AzureFault, parties: Parties) -> bool:
    """Whether a login was refused for what is the platform's own: its application, or its token.

    Of the platform's application the customer's word are consent, a disabled service principal, a tenant that
    does not exist and conditional access, and nothing else.
    """
    refused = _BAD_REQUEST <= fault.http_status < _SERVER_ERROR and fault.code
    if fault.action is not Action.LOGIN or not refused or _is_passing(fault):
        return False
    theirs = fault.detail in _TENANTS_WORD or fault.code in _TENANTS_WORD
    return fault.detail in _BROKEN_ASSERTION or (parties.own and not theirs)


def _is_passing(fault: AzureFault) -> bool:
    limited = fault.http_status == _TOO_MANY or fault.detail in _LOGIN_THROTTLED
    return limited or bool({fault.detail, fault.code} & _LOGIN_TRANSIENT)


def reason_of(fault: AzureFault, parties: Parties) -> Reason:
    """What an answer means. Unknown codes go by their HTTP status."""
    if fault.code.startswith("coffer:"):
        return _of_our_own(fault)
    if fault.action is Action.LOGIN:
        return _of_login(fault, parties)
    return _of_vault(fault)


def _of_our_own(fault: AzureFault) -> Reason:
    if fault.code in {NO_CLIENT, OTHER_TENANT, REFUSED_TENANT, HOSTS_IDENTITY}:
        return Reason.INVALID_REQUEST
    if fault.code == NO_SUCH_HOST and fault.action is Action.WRAP:
        # Somebody has just named this vault, and a wrong or deleted name is by far the likeliest cause. When
        # unwrapping, the vault did exist: then it may as well be our own name service that is wrong,
        # which must not throw away the keys of every Azure tenant at once. They end with their life.
        return Reason.KEY_NOT_FOUND
    # A variable that is missing or not allowed and a broken identity are the operator's; nobody was asked
    # about the key.
    return Reason.UNREACHABLE


def _of_vault(fault: AzureFault) -> Reason:
    if not fault.code:
        return _without_code(fault)
    known = _BY_VAULT_CODE.get(fault.detail) or _BY_VAULT_CODE.get(fault.code)
    known = known or _BY_VAULT_STATUS.get(fault.http_status)
    if known is None and fault.code == "BadParameter":
        # All that we send is well-formed, so it is what it is applied to that does not fit.
        wrapping = fault.action is Action.WRAP
        return Reason.KEY_UNSUITABLE if wrapping else Reason.ROUNDTRIP_MISMATCH
    if known is None and _BAD_REQUEST <= fault.http_status < _SERVER_ERROR:
        return Reason.INVALID_REQUEST
    return known or Reason.UNREACHABLE


def _of_login(fault: AzureFault, parties: Parties) -> Reason:
    if not fault.code or fault.http_status >= _SERVER_ERROR:
        return _without_code(fault)
    if fault.detail in _LOGIN_THROTTLED or fault.http_status == _TOO_MANY:
        return Reason.THROTTLED
    if is_operators(fault, parties):
        return Reason.UNREACHABLE  # no word of the customer
    for codes, reason in _LOGIN_REASONS:
        if fault.detail in codes or fault.code in codes:
            return reason
    return Reason.UNREACHABLE


def _without_code(fault: AzureFault) -> Reason:
    return Reason.THROTTLED if fault.http_status == _TOO_MANY else Reason.UNREACHABLE
