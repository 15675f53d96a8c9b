"""Who may call what: the policies of a service's descriptors, and their enforcement. Default deny."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from coffer.type.v1 import policy_pb2

from services.common.errors import (
    ForbiddenError,
    InsufficientScopeError,
    RateLimitedError,
    StepUpExpiredError,
    StepUpRequiredError,
    UnauthenticatedError,
)
from services.common.rpc import responses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.descriptor import ServiceDescriptor

    from services.common.identity import AdminIdentity, ApiKeyIdentity, Call, Peer, StepUp
    from services.common.rate_limits import Taken

_ROLE_NAMES: Final = {
    policy_pb2.ADMIN_ROLE_OWNER: "owner",
    policy_pb2.ADMIN_ROLE_ADMIN: "admin",
    policy_pb2.ADMIN_ROLE_VIEWER: "viewer",
}


class Authentication(Protocol):
    """What enforcement needs to know about credentials."""

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        """Who holds this API key."""
        ...

    async def admin(self, token: str) -> AdminIdentity | None:
        """Which administrator this JWT is of."""
        ...

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        """A valid, fresh step-up token of this administrator."""
        ...


class Metering(Protocol):
    """What counts the calls of API keys."""

    async def take(self, identity: ApiKeyIdentity) -> Taken | None:
        """Count a call of this key; None: it has no limit."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call brought along."""

    peer: Peer
    authorization: str | None
    x_api_key: str | None
    step_up: str | None

    def __repr__(self) -> str:
        return f"Credentials(peer={self.peer!r})"


def policies(services: Iterable[ServiceDescriptor]) -> dict[str, policy_pb2.Policy]:
    """The policy of each rpc by its full path. An rpc that declares none is not in it."""
    found = {}
    for service in services:
        for method in service.methods:
            policy = method.GetOptions().Extensions[policy_pb2.policy]
            if policy.WhichOneof("caller"):
                found[f"/{service.full_name}/{method.name}"] = policy
    return found


class Enforcer:
    """Decides about one call. Knows every rpc of its process."""

    def __init__(
        self,
        known: Mapping[str, policy_pb2.Policy],
        authentication: Authentication,
        metering: Metering | None = None,
    ) -> None:
        self._metering = metering
        # Read once: looking into a message costs more than the decision.
        self._known = {
            name: (policy.WhichOneof("caller"), policy) for name, policy in known.items()
        }
        self._services = {
            name: frozenset(policy.service.names)
            for name, (kind, policy) in self._known.items()
            if kind == "service"
        }
        self._authentication = authentication

    async def admit(self, method: str, credentials: Credentials, call: Call) -> Call:
        """`call`, completed with who calls. Raises the 401, 429 or 403 of the wire contract, in that order: a
        key that hammers at what it may not do is limited as well.
        """
        peer, names = credentials.peer, self._services.get(method)
        if names is not None and peer.service in names:
            return call.acting(f"service:{peer.service}")
        kind, policy = self._known.get(method, (None, None))
        if kind is None or policy is None:
            raise ForbiddenError("This rpc declares no policy, so nobody may call it.")
        if kind == "open":
            return replace(call, actor="anybody")
        if kind == "api_key":
            return await self._by_api_key(policy.api_key, credentials, call)
        if kind == "admin":
            return await self._by_admin(policy.admin, credentials, call)
        if peer.service is None and peer.consumer is None:
            raise UnauthenticatedError
        if kind == "service":
            raise ForbiddenError("This service may not call this.")
        if peer.consumer is None:
            raise ForbiddenError("Only consumers with a grant may call this.")
        return replace(call, actor=f"consumer:{peer.consumer}", consumer=peer.consumer)

    async def _by_api_key(
        self, policy: policy_pb2.ApiKeyPolicy, credentials: Credentials, call: Call
    ) -> Call:
        token = _api_key(credentials)
        identity = await self._authentication.api_key(token) if token else None
        if identity is None:
            raise UnauthenticatedError
        await self._meter(identity)
        if policy.scope and policy.scope not in identity.scopes:
            raise InsufficientScopeError(f"The API key lacks the scope {policy.scope}.")
        return replace(
            call,
            actor=f"api_key:{identity.key_id}",
            tenant_id=identity.tenant_id,
            api_key=identity,
        )

    async def _meter(self, identity: ApiKeyIdentity) -> None:
        """Count the call. Raises RateLimitedError; UnavailableError where it cannot be counted."""
        taken = await self._metering.take(identity) if self._metering else None
        if taken is None:
            return
        responses.add("x-ratelimit-limit", str(taken.limit))
        responses.add("x-ratelimit-remaining", str(taken.remaining))
        responses.add("x-ratelimit-reset", str(taken.resets_at))
        if not taken.allowed:
            raise RateLimitedError(taken.limit, taken.retry_after)

    async def _by_admin(
        self, policy: policy_pb2.AdminPolicy, credentials: Credentials, call: Call
    ) -> Call:
        token = _bearer(credentials.authorization)
        if token is None or credentials.x_api_key is not None:
            raise UnauthenticatedError
        admin = await self._authentication.admin(token)
        if admin is None:
            raise UnauthenticatedError
        roles = [_ROLE_NAMES[role] for role in policy.roles if role in _ROLE_NAMES]
        if admin.role not in roles:
            raise ForbiddenError(f"This needs the role {' or '.join(roles)}.")
        call = replace(call, actor=f"admin:{admin.subject}", tenant_id=admin.tenant_id)
        window = policy.step_up_window_seconds or policy.optional_step_up_window_seconds
        if not window:
            return call
        try:
            step_up = await self._authentication.step_up(credentials.step_up, admin, window)
        except (StepUpRequiredError, StepUpExpiredError) as fault:
            if policy.step_up_window_seconds:
                raise
            return replace(call, step_up_fault=fault)
        return replace(call, step_up=step_up)


def _bearer(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _api_key(credentials: Credentials) -> str | None:
    """The key from either header; two different ones are none."""
    bearer, plain = _bearer(credentials.authorization), credentials.x_api_key
    if credentials.authorization is not None and plain is not None and bearer != plain:
        return None
    return bearer or plain
