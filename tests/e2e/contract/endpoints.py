"""Every endpoint there is, read from the protos: a new rpc is under test without anybody adding it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coffer.kms.v1 import kms_pb2
from coffer.rewrap.v1 import rewrap_pb2
from coffer.secrets.v1 import secrets_pb2
from coffer.type.v1 import policy_pb2
from google.api import annotations_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from google.protobuf.descriptor import MethodDescriptor

    from tests.fixtures.tenant_user import TenantUser

FILES = (kms_pb2.DESCRIPTOR, secrets_pb2.DESCRIPTOR, rewrap_pb2.DESCRIPTOR)
METHODS = ("get", "put", "post", "delete", "patch")
PLACE = re.compile(r"\{(\w+)\}")
NOBODYS = {"rewraps": "1", "keys": "999999", "versions": "999999"}
"""What nobody has in the place after this word; elsewhere it is an id."""
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, Callable[[TenantUser], dict[str, Any]]] = {
    "PutSecretValue": lambda _: {"value": "overwritten"},
    "UpdateSecret": lambda _: {"description": "overwritten"},
    "UpdateEnvironment": lambda _: {"description": "overwritten"},
    "UpdateCollection": lambda _: {"description": "overwritten"},
    "UpdateRewrap": lambda _: {"throttle_per_second": 1000},
    "RevokeKeyVersion": lambda user: {"confirm": user.slug},
}
"""A body that would do something, of each rpc on one thing that needs one. A new one belongs here."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path, and who may use it."""

    rpc: str
    method: str
    template: str
    has_body: bool
    policy: policy_pb2.Policy

    @property
    def admin(self) -> bool:
        """Called with an admin JWT, else with an API key."""
        return self.policy.WhichOneof("caller") == "admin"

    @property
    def open(self) -> bool:
        """Called by anybody, whatever they bring along."""
        return self.policy.WhichOneof("caller") == "open"

    @property
    def step_up(self) -> bool:
        return self.admin and self.policy.admin.step_up_window_seconds > 0

    @property
    def places(self) -> list[str]:
        """The names of what the path asks for, such as `id`."""
        return PLACE.findall(self.template)

    def path(self, values: Mapping[str, str] | None = None) -> str:
        """The path with its places filled, by default with something that nobody has."""
        parts = self.template.split("/")
        nobodys = {
            place[1:-1]: NOBODYS.get(before, NOBODYS_ID)
            for before, place in itertools.pairwise(parts)
        }
        return PLACE.sub(lambda place: (nobodys | dict(values or {}))[place[1]], self.template)

    def body(self, user: TenantUser) -> dict[str, Any]:
        """The arguments of a request whose body is good, as far as that can be without knowing more."""
        if not self.has_body:
            return {}
        make = BODIES.get(str(self))
        return {"json": make(user) if make else {}}

    def serves(self, path: str) -> bool:
        """Whether the path is one of the template's."""
        return re.fullmatch(PLACE.sub("[^/]+", self.template), path) is not None

    def __str__(self) -> str:
        return self.rpc.rpartition("/")[2]


def rpcs() -> Iterator[MethodDescriptor]:
    """Every rpc of every service."""
    for file in FILES:
        for service in file.services_by_name.values():
            yield from service.methods


def policy_of(rpc: MethodDescriptor) -> policy_pb2.Policy:
    """Who may call it, by the proto."""
    found: policy_pb2.Policy = rpc.GetOptions().Extensions[policy_pb2.policy]
    return found


def endpoints() -> list[Endpoint]:
    """Every rpc that has an HTTP path; also each of its additional ones."""
    found = []
    for rpc in rpcs():
        options = rpc.GetOptions()
        rule = options.Extensions[annotations_pb2.http]
        policy = policy_of(rpc)
        for one in (rule, *rule.additional_bindings):
            verb = one.WhichOneof("pattern")
            if verb in METHODS:
                name = f"{rpc.containing_service.full_name}/{rpc.name}"
                template = getattr(one, verb)
                found.append(Endpoint(name, verb.upper(), template, bool(one.body), policy))
    return found


ENDPOINTS = endpoints()
CLOSED = [endpoint for endpoint in ENDPOINTS if not endpoint.open]
WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.has_body]
STEPPED_UP = [endpoint for endpoint in ENDPOINTS if endpoint.step_up]
