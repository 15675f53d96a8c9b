"""The commands of the control door that are AWS's own; one per method of `devcloud.control`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from devcloud.aws.model import KeyState, KeyUsage
from devcloud.aws.seed import create_customer
from devcloud.control_door import ControlDoor
from devcloud.stored_cloud import UnknownThingError

if TYPE_CHECKING:
    from devcloud.aws.cloud import Cloud
    from devcloud.aws.model import Key, Role
    from devcloud.aws.sessions import Sessions
    from devcloud.control_door import Members
    from devcloud.faults import Faults
    from devcloud.http import HttpAnswer, HttpRequest
    from devcloud.ledger import Ledger

_ROLE_LISTS = ("trusted", "actions", "resources")


class ControlApi:
    """Changes what the cloud is and does."""

    def __init__(self, cloud: Cloud, sessions: Sessions, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._sessions = sessions
        commands = {
            "keys": self._keys,
            "create-key": self._create_key,
            "change-key": self._change_key,
            "rotate-key": self._rotate_key,
            "point-alias": self._point_alias,
            "roles": self._roles,
            "create-role": self._create_role,
            "change-role": self._change_role,
            "create-user": self._create_user,
            "create-customer": self._create_customer,
            "set-session-lifetime": self._set_session_lifetime,
            "end-sessions": self._end_sessions,
        }
        self._door = ControlDoor(cloud.control_token, faults, ledger, commands)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request, as `ControlDoor.answer`."""
        return self._door.answer(request)

    def _keys(self, _: Members) -> Members:
        return {"keys": [self._shown(key) for key in self._cloud.all_keys()]}

    def _create_key(self, body: Members) -> Members:
        key = self._cloud.create_key(
            account=body["account"],
            region=body["region"],
            spec=body["spec"],
            usage=KeyUsage(body["usage"]),
        )
        if body["alias"] is not None:
            self._cloud.point_alias(
                account=key.account, region=key.region, name=body["alias"], key_arn=key.arn
            )
        return self._shown(key)

    def _change_key(self, body: Members) -> Members:
        changes: Members = {}
        if "state" in body:
            changes["state"] = KeyState(body["state"])
        if "denied" in body:
            changes["denied"] = tuple(body["denied"])
        return self._shown(self._cloud.change_key(body["key"], **changes))

    def _rotate_key(self, body: Members) -> Members:
        return self._shown(self._cloud.rotate_key(body["key"]))

    def _point_alias(self, body: Members) -> Members:
        key = self._cloud.key(body["key"])
        if key is None:
            raise UnknownThingError(f"no key {body['key']}")
        arn = self._cloud.point_alias(
            account=key.account, region=key.region, name=body["alias"], key_arn=key.arn
        )
        return {"alias_arn": arn}

    def _roles(self, _: Members) -> Members:
        return {"roles": [_shown_role(role) for role in self._cloud.roles()]}

    def _create_role(self, body: Members) -> Members:
        members: Members = {name: tuple(body[name]) for name in _ROLE_LISTS}
        for name in ("account", "region", "name", "external_id"):
            members[name] = body[name]
        return _shown_role(self._cloud.create_role(**members))

    def _change_role(self, body: Members) -> Members:
        changes: Members = {name: tuple(body[name]) for name in _ROLE_LISTS if name in body}
        if "external_id" in body:
            changes["external_id"] = body["external_id"]
        return _shown_role(self._cloud.change_role(body["role"], **changes))

    def _create_user(self, body: Members) -> Members:
        user = self._cloud.create_user(
            account=body["account"],
            region=body["region"],
            name=body["name"],
            actions=tuple(body["actions"]),
        )
        shown = ("arn", "access_key_id", "secret_access_key")
        return {name: getattr(user, name) for name in shown}

    def _create_customer(self, body: Members) -> Members:
        customer = create_customer(
            self._cloud,
            operator_arn=body["operator_arn"] or self._cloud.seed["operator_arn"],
            external_id=body["external_id"],
            region=body["region"] or self._cloud.seed["region"],
            account=body["account"],
        )
        return asdict(customer)

    def _set_session_lifetime(self, body: Members) -> Members:
        seconds = body["seconds"]
        self._sessions.lifetime_override = None if seconds is None else float(seconds)
        return {}

    def _end_sessions(self, _: Members) -> Members:
        self._sessions.end_all()
        return {}

    def _shown(self, key: Key) -> Members:
        aliases = [alias for alias, arn in self._cloud.aliases().items() if arn == key.arn]
        return {
            "arn": key.arn,
            "account": key.account,
            "region": key.region,
            "state": key.state,
            "spec": key.spec,
            "usage": key.usage,
            "denied": key.denied,
            "generations": len(key.materials),
            "aliases": sorted(aliases),
        }


def _shown_role(role: Role) -> Members:
    names = ("arn", "trusted", "external_id", "actions", "resources")
    return {name: getattr(role, name) for name in names}
