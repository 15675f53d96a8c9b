"""The client of a running Google Cloud stand-in's control door, for the demo and the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devcloud.control_client import ControlClient, ControlError
from devcloud.gcp.model import GET_ACCESS_TOKEN, Policy, Purpose, VersionState, account_resource
from devcloud.gcp.seed import Customer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as it is now: its versions' states by number, and which of them encrypts."""

    name: str
    purpose: Purpose
    primary: int | None
    states: Mapping[int, VersionState]

    def version(self, number: int) -> str:
        """The full name of a version."""
        return f"{self.name}/cryptoKeyVersions/{number}"


class GcpControl(ControlClient):
    """Sees and changes everything in one stand-in. Use as a context manager, or call `close`.

    Keys are named in full (`projects/P/locations/L/keyRings/R/cryptoKeys/K`); projects, locations
    and rings begin to exist by being named. What is changed here holds at once and durably, unless
    said otherwise.
    """

    @classmethod
    def from_ready_file(cls, path: Path) -> GcpControl:
        """Of the process that wrote this ready file."""
        ready = json.loads(path.read_text(encoding="utf-8"))
        return cls(ready["gcp_control_url"], ready["gcp_control_token"])

    # Keys

    def keys(self) -> tuple[KeyInfo, ...]:
        """Every key."""
        return tuple(_key(one) for one in self._do("keys")["keys"])

    def key(self, name: str) -> KeyInfo:
        """One key. Raises ControlError when there is none."""
        for key in self.keys():
            if key.name == name:
                return key
        raise ControlError(f"no key {name}")

    def create_key(self, name: str, purpose: Purpose = Purpose.ENCRYPT_DECRYPT) -> KeyInfo:
        """A further key with version 1; nobody may use it yet."""
        return _key(self._do("create-key", name=name, purpose=purpose))

    def set_version_state(self, version: str, state: VersionState) -> KeyInfo:
        """Any state at once, also where Google has a delay; only destroyed is for ever."""
        return _key(self._do("set-version-state", version=version, state=state))

    def set_state(self, key: str, state: VersionState) -> KeyInfo:
        """The same for every version of a key that is not destroyed."""
        info = self.key(key)
        for number, now in info.states.items():
            if now is not VersionState.DESTROYED:
                info = self.set_version_state(info.version(number), state)
        return info

    def enable(self, key: str) -> KeyInfo:
        """Make every version usable."""
        return self.set_state(key, VersionState.ENABLED)

    def disable(self, key: str) -> KeyInfo:
        """The customer's kill switch: every version disabled."""
        return self.set_state(key, VersionState.DISABLED)

    def destroy(self, key: str) -> KeyInfo:
        """Destroy every version; the material is gone."""
        return self.set_state(key, VersionState.DESTROYED)

    def rotate(self, key: str) -> KeyInfo:
        """A new version that encrypts from now on; old ciphertexts still open."""
        return _key(self._do("rotate-key", key=key))

    def set_primary(self, key: str, number: int | None) -> KeyInfo:
        """Which version encrypts; None leaves the key without a primary."""
        return _key(self._do("set-primary", key=key, number=number))

    # Principals

    def service_accounts(self) -> tuple[str, ...]:
        """The e-mail addresses of all service accounts."""
        return tuple(self._do("accounts")["accounts"])

    def create_service_account(self, project: str, name: str) -> str:
        """A service account; its e-mail address."""
        return str(self._do("create-account", project=project, name=name)["email"])

    def delete_service_account(self, email: str) -> None:
        """Take a service account away; its tokens are worthless."""
        self._do("delete-account", email=email)

    def create_customer(
        self,
        *,
        location: str | None = None,
        project: str | None = None,
        operator: str | None = None,
    ) -> Customer:
        """A further customer: project, key, and a service account the operator may act as."""
        return Customer(
            **self._do("create-customer", location=location, project=project, operator=operator)
        )

    # Policies

    def policies(self) -> tuple[Policy, ...]:
        """Every policy."""
        return tuple(_policy(one) for one in self._do("policies")["policies"])

    def grant(self, resource: str, principal: str, permissions: Iterable[str]) -> Policy:
        """Allow exactly these on a project, ring, key or account, and on all below it."""
        return self._set_policy(resource, principal, allowed=list(permissions))

    def deny(self, resource: str, principal: str, permissions: Iterable[str]) -> Policy:
        """Forbid exactly these, whatever is granted elsewhere; an empty list forbids nothing."""
        return self._set_policy(resource, principal, denied=list(permissions))

    def allow(self, resource: str, principal: str) -> Policy:
        """Take the denials of this resource and principal away."""
        return self.deny(resource, principal, ())

    def allow_impersonation(self, email: str, principal: str) -> Policy:
        """Grant roles/iam.serviceAccountTokenCreator on a service account."""
        return self.grant(account_resource(email), principal, (GET_ACCESS_TOKEN,))

    def revoke_impersonation(self, email: str, principal: str) -> Policy:
        """Take it away; tokens that were given out stay good, as with Google."""
        return self.grant(account_resource(email), principal, ())

    # Tokens

    def set_token_lifetime(self, seconds: float | None) -> None:
        """How long every new token lives, whatever was asked for; None for Google's rule.

        Forgotten when the stand-in restarts.
        """
        self._do("set-token-lifetime", seconds=seconds)

    def expire_tokens(self, email: str | None = None) -> None:
        """Make all tokens given out so far worthless, of one account or (None) of all."""
        self._do("expire-tokens", email=email)

    def _set_policy(
        self,
        resource: str,
        principal: str,
        *,
        allowed: list[str] | None = None,
        denied: list[str] | None = None,
    ) -> Policy:
        return _policy(
            self._do(
                "set-policy",
                resource=resource,
                principal=principal,
                allowed=allowed,
                denied=denied,
            )
        )


def _key(body: Mapping[str, Any]) -> KeyInfo:
    return KeyInfo(
        name=body["name"],
        purpose=Purpose(body["purpose"]),
        primary=body["primary"],
        states={int(number): VersionState(state) for number, state in body["states"].items()},
    )


def _policy(body: Mapping[str, Any]) -> Policy:
    return Policy(
        resource=body["resource"],
        principal=body["principal"],
        allowed=tuple(body["allowed"]),
        denied=tuple(body["denied"]),
    )
