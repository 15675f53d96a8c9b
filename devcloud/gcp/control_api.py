"""The commands of the control door that are Google Cloud's own; one per method of GcpControl."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from devcloud.control_door import ControlDoor
from devcloud.gcp.model import Purpose, VersionState
from devcloud.gcp.names import split_version
from devcloud.gcp.seed import DEFAULT_LOCATION, create_customer

if TYPE_CHECKING:
    from devcloud.control_door import Members
    from devcloud.faults import Faults
    from devcloud.gcp.cloud import Cloud
    from devcloud.gcp.model import Key
    from devcloud.gcp.tokens import Tokens
    from devcloud.ledger import Ledger


def control_door(cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> ControlDoor:
    """The door of one stand-in."""
    commands = _Commands(cloud, tokens)
    return ControlDoor(
        cloud.control_token,
        faults,
        ledger,
        {
            "keys": commands.keys,
            "create-key": commands.create_key,
            "set-version-state": commands.set_version_state,
            "rotate-key": commands.rotate_key,
            "set-primary": commands.set_primary,
            "accounts": commands.accounts,
            "create-account": commands.create_account,
            "delete-account": commands.delete_account,
            "policies": commands.policies,
            "set-policy": commands.set_policy,
            "create-customer": commands.create_customer,
            "set-token-lifetime": commands.set_token_lifetime,
            "expire-tokens": commands.expire_tokens,
        },
    )


class _Commands:
    def __init__(self, cloud: Cloud, tokens: Tokens) -> None:
        self._cloud = cloud
        self._tokens = tokens

    def keys(self, _: Members) -> Members:
        return {"keys": [_shown(key) for key in self._cloud.all_keys()]}

    def create_key(self, body: Members) -> Members:
        return _shown(self._cloud.create_key(body["name"], Purpose(body["purpose"])))

    def set_version_state(self, body: Members) -> Members:
        parts = split_version(body["version"])
        if parts is None:
            raise ValueError(f"not the name of a key version: {body['version']}")
        state = VersionState(body["state"])
        return _shown(self._cloud.set_version_state(*parts, state))

    def rotate_key(self, body: Members) -> Members:
        return _shown(self._cloud.rotate(body["key"]))

    def set_primary(self, body: Members) -> Members:
        return _shown(self._cloud.set_primary(body["key"], body["number"]))

    def accounts(self, _: Members) -> Members:
        return {"accounts": [account.email for account in self._cloud.accounts()]}

    def create_account(self, body: Members) -> Members:
        return {"email": self._cloud.create_account(body["project"], body["name"]).email}

    def delete_account(self, body: Members) -> Members:
        self._cloud.delete_account(body["email"])
        return {}

    def policies(self, _: Members) -> Members:
        return {"policies": [asdict(policy) for policy in self._cloud.policies()]}

    def set_policy(self, body: Members) -> Members:
        return asdict(
            self._cloud.set_policy(
                body["resource"],
                body["principal"],
                allowed=body["allowed"],
                denied=body["denied"],
            )
        )

    def create_customer(self, body: Members) -> Members:
        customer = create_customer(
            self._cloud,
            operator=body["operator"] or self._cloud.seed["operator"],
            location=body["location"] or DEFAULT_LOCATION,
            project=body["project"],
        )
        return asdict(customer)

    def set_token_lifetime(self, body: Members) -> Members:
        seconds = body["seconds"]
        self._tokens.lifetime_override = None if seconds is None else float(seconds)
        return {}

    def expire_tokens(self, body: Members) -> Members:
        self._cloud.expire_tokens(body["email"])
        return {}


def _shown(key: Key) -> Members:
    return {
        "name": key.name,
        "purpose": key.purpose,
        "primary": key.primary,
        "states": {str(version.number): version.state for version in key.versions},
    }
