"""The one tree of errors, and the one table that maps it to gRPC and HTTP.

Source: the wire contract, "Errors at a glance". Pure: knows neither gRPC nor HTTP libraries.

An error's texts are for the caller. They never hold a secret byte, SQL, a provider's own text or the
existence of another tenant; whoever raises one promises that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Travel:
    """How one error code travels: HTTP status, and canonical gRPC code by name."""

    http_status: int
    grpc_code: str


CODES: Final[dict[str, Travel]] = {
    "validation_error": Travel(400, "INVALID_ARGUMENT"),
    "static_credentials_rejected": Travel(400, "INVALID_ARGUMENT"),
    "kms_verify_failed": Travel(400, "FAILED_PRECONDITION"),
    "unsupported_type": Travel(400, "INVALID_ARGUMENT"),
    "unauthenticated": Travel(401, "UNAUTHENTICATED"),
    "forbidden": Travel(403, "PERMISSION_DENIED"),
    "insufficient_scope": Travel(403, "PERMISSION_DENIED"),
    "step_up_required": Travel(403, "PERMISSION_DENIED"),
    "step_up_expired": Travel(403, "PERMISSION_DENIED"),
    "plan_limit": Travel(403, "RESOURCE_EXHAUSTED"),
    "not_found": Travel(404, "NOT_FOUND"),
    "no_kms_config": Travel(404, "NOT_FOUND"),
    "method_not_allowed": Travel(405, "UNIMPLEMENTED"),
    "conflict": Travel(409, "ALREADY_EXISTS"),
    "idempotency_conflict": Travel(409, "ABORTED"),
    "not_sealed": Travel(409, "FAILED_PRECONDITION"),
    "key_active": Travel(409, "FAILED_PRECONDITION"),
    "key_in_use": Travel(409, "FAILED_PRECONDITION"),
    "rewrap_running": Travel(409, "FAILED_PRECONDITION"),
    "invalid_state": Travel(409, "FAILED_PRECONDITION"),
    "key_revoked": Travel(410, "FAILED_PRECONDITION"),
    "version_mismatch": Travel(412, "ABORTED"),
    "payload_too_large": Travel(413, "OUT_OF_RANGE"),
    "unsupported_media_type": Travel(415, "INVALID_ARGUMENT"),
    "rate_limited": Travel(429, "RESOURCE_EXHAUSTED"),
    "internal_error": Travel(500, "INTERNAL"),
    "unseal_failed": Travel(502, "FAILED_PRECONDITION"),
    "tenant_sealed": Travel(503, "UNAVAILABLE"),
    "unavailable": Travel(503, "UNAVAILABLE"),
    "timeout": Travel(504, "DEADLINE_EXCEEDED"),
}
"""Every code of the wire contract. `tenant_sealed` is 409 on rotate: see `CofferError.http_status`."""

SEALED_RETRY_SECONDS: Final = 30
"""A sealed tenant's key is tried again this often (wire contract, "Sealed tenant")."""


class CofferError(Exception):
    """An error that a caller may see. Subclasses fix the code.

    `fields` maps a JSON path to what is wrong with it. `retry_after` is in whole seconds.
    `http_status` overrides the table's for the one code that has two.
    """

    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, Sequence[str]] | None = None,
        reason: str | None = None,
        hint: str | None = None,
        retry_after: int | None = None,
        provider: str | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = {path: list(faults) for path, faults in (fields or {}).items()}
        self.reason = reason
        self.hint = hint
        self.retry_after = retry_after
        self.provider = provider
        self.http_status = http_status or CODES[self.code].http_status

    @property
    def grpc_code(self) -> str:
        """Name of the canonical gRPC status code.

        A code with another HTTP status than its own is a state and no outage: clients must not repeat it.
        """
        usual = CODES[self.code]
        return usual.grpc_code if self.http_status == usual.http_status else "FAILED_PRECONDITION"


class ValidationError(CofferError):
    """Something the client sent is not what the contract says."""

    code = "validation_error"

    @classmethod
    def of(cls, field: str, fault: str, *, reason: str | None = None) -> ValidationError:
        """One fault in one field; the message is a sentence naming both."""
        return cls(f"{field}: {fault}", fields={field: [fault]}, reason=reason)


class StaticCredentialsRejectedError(CofferError):
    """A long-lived cloud credential was sent; only federated access is taken."""

    code = "static_credentials_rejected"


class KmsVerifyFailedError(CofferError):
    """The customer's key did not pass a live wrap and unwrap. Carries provider, reason and hint."""

    code = "kms_verify_failed"


class UnsupportedTypeError(CofferError):
    """A secret type that this version does not store."""

    code = "unsupported_type"


class UnauthenticatedError(CofferError):
    """No credential, or one that is not valid; never says which."""

    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__("Authentication is required: the credential is missing or not valid.")


class ForbiddenError(CofferError):
    """The caller is known and may not do this."""

    code = "forbidden"


class InsufficientScopeError(CofferError):
    """The API key lacks the scope of the endpoint."""

    code = "insufficient_scope"


class StepUpRequiredError(CofferError):
    """No usable step-up token; `reason` is `missing`, `invalid` or `used`."""

    code = "step_up_required"


class StepUpExpiredError(CofferError):
    """The step-up token is older than the endpoint's window."""

    code = "step_up_expired"


class PlanLimitError(CofferError):
    """The tenant's plan allows no more."""

    code = "plan_limit"


class NotFoundError(CofferError):
    """No such thing in this tenant."""

    code = "not_found"


class NoKmsConfigError(CofferError):
    """No customer KMS is configured for the tenant."""

    code = "no_kms_config"

    def __init__(self) -> None:
        super().__init__(
            "No customer KMS is configured for this tenant.",
            hint="Connect one with POST /admin/tenant-kms.",
        )


class ConflictError(CofferError):
    """The name is taken."""

    code = "conflict"


class IdempotencyConflictError(CofferError):
    """The idempotency key was used for another request."""

    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request in the last 24 hours.",
            hint="Send a new key with a new request; a repeated request must be the same in every part.",
        )


class InvalidStateError(CofferError):
    """The state of the thing does not allow it."""

    code = "invalid_state"


class RewrapRunningError(CofferError):
    """A rewrap of the tenant has not ended, and there is one at a time."""

    code = "rewrap_running"

    def __init__(self, lease_id: int, state: str) -> None:
        super().__init__(
            f"Rewrap {lease_id} has not ended: it is {state}. A tenant has one rewrap at a time.",
            hint="Resume it, or cancel it before another is started."
            if state == "paused"
            else "Everything moves to the active master key with that one; look at it with"
            f" GET /admin/tenant-kms/rewraps/{lease_id}.",
        )


class NotSealedError(CofferError):
    """Nothing is sealed, so there is nothing to unseal."""

    code = "not_sealed"

    def __init__(self) -> None:
        super().__init__("The tenant is not sealed: its KMS key can be used.")


class UnsealFailedError(CofferError):
    """The key still cannot be used; `reason` is `unreachable` or `access_denied`, the true one in `hint`."""

    code = "unseal_failed"


class KeyActiveError(CofferError):
    """The active version cannot be revoked."""

    code = "key_active"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"Version {version} is the active one and cannot be revoked.",
            hint="Rotate first (POST /admin/tenant-kms/rotate), wait for the rewrap, then revoke.",
        )


class KeyInUseError(CofferError):
    """Stored data keys still need the version; `fields.data_keys` tells how many."""

    code = "key_in_use"

    def __init__(self, version: int, data_keys: int) -> None:
        super().__init__(
            f"{data_keys} stored data keys still need version {version}.",
            fields={"data_keys": [f"{data_keys} stored data keys still need this version"]},
            hint="Wait for the rewrap to end (GET /admin/tenant-kms/rewraps), or say force: true to lose"
            " for ever what they protect.",
        )


class KeyRevokedError(CofferError):
    """The key version was erased; what it protected is gone."""

    code = "key_revoked"


class VersionMismatchError(CofferError):
    """`If-Match` names another version than the current one."""

    code = "version_mismatch"


class PayloadTooLargeError(CofferError):
    """The request is larger than the limit."""

    code = "payload_too_large"


class RateLimitedError(CofferError):
    """The API key has used up its calls of this window."""

    code = "rate_limited"

    def __init__(self, limit: int, retry_after: int) -> None:
        """`limit` in calls of a window; `retry_after` in seconds, until the next window."""
        super().__init__(
            f"The API key has used up its {limit} calls; the next window begins in {retry_after} s.",
            retry_after=retry_after,
        )


class TenantSealedError(CofferError):
    """The tenant's wrapping key cannot be used at present."""

    code = "tenant_sealed"

    def __init__(
        self, *, reason: str | None = None, http_status: int | None = None, own_key: bool = True
    ) -> None:
        """`own_key`: whether it is the tenant's, and not the platform's, whom only the operator can help."""
        super().__init__(
            "The tenant is sealed: its KMS key cannot be used at present.",
            reason=reason,
            hint="Restore the platform's access to the key; the service tries again by itself."
            if own_key
            else "It is the platform's own key: its operator has to look. The service tries again by itself.",
            retry_after=SEALED_RETRY_SECONDS,
            http_status=http_status,
        )


class UnavailableError(CofferError):
    """A part of the service cannot be reached; nothing was changed that was acknowledged."""

    code = "unavailable"

    def __init__(self, message: str = "The service is not available at present.") -> None:
        super().__init__(message, retry_after=1)


class DeadlineError(CofferError):
    """The call took longer than its deadline."""

    code = "timeout"

    def __init__(self, message: str = "The call took longer than its deadline.") -> None:
        super().__init__(message)


class InternalError(CofferError):
    """A defect of ours. The message tells nothing; the log has the request id."""

    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("Something went wrong on our side. Quote the request id.")
