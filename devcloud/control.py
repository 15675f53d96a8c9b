"""The client of a running AWS stand-in's control API, for the demo and the tests.

Not for the product: a real cloud has no such door. All methods are synchronous; they raise
`ControlError` when the stand-in refuses and `httpx.TransportError` when it cannot be reached.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devcloud.aws.model import SYMMETRIC, KeyState, KeyUsage
from devcloud.aws.seed import ROLE_ACTIONS, Customer
from devcloud.control_client import ControlClient, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ("Control", "ControlError", "KeyInfo", "RoleInfo", "UserCredentials")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as it is now. `generations` counts its key material, 1 before any rotation."""

    arn: str
    account: str
    region: str
    state: KeyState
    spec: str
    usage: KeyUsage
    denied: tuple[str, ...]
    generations: int
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleInfo:
    """A role as it is now; `external_id` None means the trust policy asks for none."""

    arn: str
    trusted: tuple[str, ...]
    external_id: str | None
    actions: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """A user with its long-lived access key."""

    arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


class Control(ControlClient):
    """Sees and changes everything in one stand-in. Use as a context manager, or call `close`."""

    @classmethod
    def from_ready_file(cls, path: Path) -> Control:
        """Of the process that wrote this ready file."""
        ready = json.loads(path.read_text(encoding="utf-8"))
        return cls(ready["control_url"], ready["control_token"])

    # Keys

    def keys(self) -> tuple[KeyInfo, ...]:
        """Every key, gone ones too."""
        return tuple(_key(one) for one in self._do("keys")["keys"])

    def key(self, arn: str) -> KeyInfo:
        """One key. Raises ControlError when there is none."""
        for key in self.keys():
            if key.arn == arn:
                return key
        raise ControlError(f"no key {arn}")

    def create_key(
        self,
        *,
        account: str,
        region: str,
        alias: str | None = None,
        spec: str = SYMMETRIC,
        usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT,
    ) -> KeyInfo:
        """A further key; an account begins to exist by being named. `alias` is `alias/NAME`."""
        return _key(
            self._do(
                "create-key", account=account, region=region, alias=alias, spec=spec, usage=usage
            )
        )

    def set_key_state(self, key_arn: str, state: KeyState) -> KeyInfo:
        """Any state at once, also ones AWS has no way to (back from gone). Durable."""
        return _key(self._do("change-key", key=key_arn, state=state))

    def enable(self, key_arn: str) -> KeyInfo:
        """Make the key usable, whatever it was."""
        return self.set_key_state(key_arn, KeyState.ENABLED)

    def disable(self, key_arn: str) -> KeyInfo:
        """The customer's kill switch."""
        return self.set_key_state(key_arn, KeyState.DISABLED)

    def deny(self, key_arn: str, actions: Iterable[str] = ("kms:*",)) -> KeyInfo:
        """Make the key's policy refuse exactly these actions (`kms:Decrypt`). Durable."""
        return _key(self._do("change-key", key=key_arn, denied=list(actions)))

    def allow(self, key_arn: str) -> KeyInfo:
        """Take every denial out of the key's policy."""
        return self.deny(key_arn, ())

    def rotate(self, key_arn: str) -> KeyInfo:
        """New key material; old ciphertexts still open."""
        return _key(self._do("rotate-key", key=key_arn))

    def point_alias(self, alias: str, key_arn: str) -> str:
        """Create or move `alias/NAME` in the key's account and region; the alias's ARN."""
        return str(self._do("point-alias", alias=alias, key=key_arn)["alias_arn"])

    # Principals

    def roles(self) -> tuple[RoleInfo, ...]:
        """Every role."""
        return tuple(_role(one) for one in self._do("roles")["roles"])

    def create_role(
        self,
        *,
        account: str,
        region: str,
        name: str,
        trusted: Iterable[str],
        external_id: str | None,
        actions: Iterable[str] = ROLE_ACTIONS,
        resources: Iterable[str] = ("*",),
    ) -> RoleInfo:
        """A role in the partition of `region`; `trusted` are the ARNs that may assume it."""
        return _role(
            self._do(
                "create-role",
                account=account,
                region=region,
                name=name,
                trusted=list(trusted),
                external_id=external_id,
                actions=list(actions),
                resources=list(resources),
            )
        )

    def set_external_id(self, role_arn: str, external_id: str | None) -> RoleInfo:
        """What the role's trust policy asks for; sessions that exist stay good, as with AWS."""
        return _role(self._do("change-role", role=role_arn, external_id=external_id))

    def set_trusted(self, role_arn: str, principals: Iterable[str]) -> RoleInfo:
        """Who may assume the role; an empty list is a trust policy that was taken away."""
        return _role(self._do("change-role", role=role_arn, trusted=list(principals)))

    def set_role_actions(self, role_arn: str, actions: Iterable[str]) -> RoleInfo:
        """What the role may do, from its next request on."""
        return _role(self._do("change-role", role=role_arn, actions=list(actions)))

    def create_user(
        self, *, account: str, region: str, name: str, actions: Iterable[str] = ("kms:*", "sts:*")
    ) -> UserCredentials:
        """A user of an account with an access key."""
        return UserCredentials(
            **self._do(
                "create-user", account=account, region=region, name=name, actions=list(actions)
            )
        )

    def create_customer(
        self,
        *,
        external_id: str,
        region: str | None = None,
        account: str | None = None,
        operator_arn: str | None = None,
    ) -> Customer:
        """A further customer: account, key, alias, and a role that trusts the seeded operator."""
        return Customer(
            **self._do(
                "create-customer",
                external_id=external_id,
                region=region,
                account=account,
                operator_arn=operator_arn,
            )
        )

    def set_session_lifetime(self, seconds: float | None) -> None:
        """How long every new session lives, also under AWS's 900 s; None for AWS's rule."""
        self._do("set-session-lifetime", seconds=seconds)

    def end_sessions(self) -> None:
        """Every session so far has expired; assuming the role again works."""
        self._do("end-sessions")


def _key(body: Mapping[str, Any]) -> KeyInfo:
    return KeyInfo(
        **{
            **body,
            "state": KeyState(body["state"]),
            "usage": KeyUsage(body["usage"]),
            "denied": tuple(body["denied"]),
            "aliases": tuple(body["aliases"]),
        }
    )


def _role(body: Mapping[str, Any]) -> RoleInfo:
    lists = {name: tuple(body[name]) for name in ("trusted", "actions", "resources")}
    return RoleInfo(**{**body, **lists})
