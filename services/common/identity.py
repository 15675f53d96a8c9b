"""Who is calling: the values that authentication yields and use cases read. Pure.

A call is made by one of four kinds of callers: a tenant's client with an API key, a tenant's
administrator with a JWT, another service, or a consumer of values; the last two are known by their
client certificate.
"""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.common.errors import StepUpRequiredError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.common.errors import CofferError
    from services.common.idempotency import Claim
    from services.common.rate_limits import RateLimit

_SPIFFE: Final = re.compile(
    r"spiffe://coffer/(?:(?P<service>kms|secrets|rewrap|gateway|operator)"
    r"|consumer/(?P<consumer>[a-z0-9][a-z0-9._-]{0,62}))"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """The holder of a client certificate of our CA."""

    service: str | None = None
    consumer: str | None = None

    @classmethod
    def parse(cls, spiffe_id: str) -> Peer:
        """From the URI in the certificate; an unknown form is nobody."""
        match = _SPIFFE.fullmatch(spiffe_id)
        return cls(match["service"], match["consumer"]) if match else cls()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A row of the tenant registry."""

    id: UUID
    slug: str
    name: str
    plan: str
    max_secrets: int | None

    @property
    def issued_external_id(self) -> str:
        """The external id that this tenant's AWS role should ask for."""
        return f"coffer-{self.id}"


@dataclass(frozen=True, slots=True)
class StepUp:
    """A valid, fresh step-up token that is not consumed yet."""

    jti: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated and authorised call.

    `tenant_id` is the credential's; None for services and consumers, whose requests name the tenant.
    `actor` is what audit events say: `api_key:<key_id>`, `admin:<sub>`, `service:<name>`,
    `consumer:<name>`. `deadline` is on the clock of `time.monotonic`, in seconds. `step_up` is a good token
    that was asked for, or may be needed; `step_up_fault` says why there is none where one may be. `claim` is
    that of its idempotency key, if it brought one. `api_key` is the key it was made with, if any.
    """

    actor: str
    request_id: str
    tenant_id: UUID | None = None
    consumer: str | None = None
    ip_address: str | None = None
    step_up: StepUp | None = None
    deadline: float | None = None
    step_up_fault: CofferError | None = None
    claim: Claim | None = None
    api_key: ApiKeyIdentity | None = field(default=None, repr=False)

    @classmethod
    def of_service(cls, name: str) -> Call:
        """What a service does when nobody asked for it."""
        return cls(f"service:{name}", str(uuid.uuid4()))

    def acting(self, actor: str) -> Call:
        """The same call of a known actor that brings no tenant."""
        return Call(actor, self.request_id, ip_address=self.ip_address, deadline=self.deadline)

    @property
    def tenant(self) -> UUID:
        """The credential's tenant. Only for rpcs whose policy asks for a tenant's credential."""
        if self.tenant_id is None:
            raise LookupError("this call carries no tenant")
        return self.tenant_id

    def require_step_up(self) -> StepUp:
        """The good token of a call that may need one. Raises StepUpRequiredError, StepUpExpiredError."""
        if self.step_up is None:
            raise self.step_up_fault or StepUpRequiredError(
                "This call needs a step-up token.", reason="missing"
            )
        return self.step_up


@dataclass(frozen=True, slots=True)
class ApiKeyIdentity:
    """What a valid API key says. `mode` is `live` or `test`; `limit` is the one that holds, if any."""

    tenant_id: UUID
    key_id: str
    scopes: frozenset[str]
    mode: str = "live"
    limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class AdminIdentity:
    """What a valid admin JWT says; the tenant exists and is active."""

    tenant_id: UUID
    subject: str
    role: str


_CALL: ContextVar[Call] = ContextVar("coffer_call")


def current_call() -> Call:
    """The call that is being served. Raises LookupError outside one."""
    return _CALL.get()


def enter_call(call: Call) -> None:
    """Make `call` the current one, for the rest of this task."""
    _CALL.set(call)
