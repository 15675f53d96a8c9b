"""A tenant whose every secret is a canary, and the search for all of them at the end."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.local.services import LOGINS
from services.common.errors import CofferError
from tests.e2e.secrecy.canaries import Canaries, fresh
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser

PATH = "/v1/secrets"
EVERY_PROCESS = {PATH, "/admin/tenant-kms", "/admin/tenant-kms/rewraps"}
"""Secrets, kms and rewrap, each through the gateway."""


class Scene:
    """What was planted for a tenant, and what was answered to it."""

    def __init__(self, tenant: TenantUser, answers: list[str]) -> None:
        self.tenant = tenant
        self.stack = tenant.stack
        self.canaries = Canaries()
        self.answers = answers
        """HTTP answers, and the errors of AccessSecret."""
        stack = self.stack.stack
        cloud = stack.devcloud
        plant = self.canaries.plant
        plant("API key", tenant.api_key)
        plant("random part of the API key", tenant.api_key.removeprefix("tk_live_")[:40])
        plant("admin JWT", tenant.admin_jwt)
        plant("master key", stack.keys.master_key_file.read_text().strip())
        plant("AWS secret access key", cloud.told["aws_secret_access_key"])
        plant("Azure client secret", cloud.told["azure_client_secret"])
        plant("managed identity's header", cloud.told["azure_identity_header"])
        plant("signing key", stack.keys.signing_key_file.read_text().splitlines()[1])
        plant("control token", cloud.control_token)
        plant("superuser's password", stack.keys.superuser_password())
        plant(
            "workload's token", Path(cloud.told["azure_federated_token_file"]).read_text().strip()
        )
        self.canaries.plant_cloud_tokens()
        for role in {role for logins in LOGINS.values() for role in logins.values()}:
            plant(f"password of {role}", stack.keys.password(role))

    def value(self, what: str) -> str:
        """A new planted value."""
        made = fresh(what)
        self.canaries.plant(what, made)
        return made

    def step_up(self) -> dict[str, str]:
        header = self.tenant.step_up()
        self.canaries.plant("step-up token", header["x-knoxcall-stepup"])
        return header

    def send(self, status: int, path: str, *, method: str = "POST", **arguments: Any) -> None:
        answer = self.tenant.call(method, path, **arguments)
        assert answer.status_code == status, answer.text

    def refused_access(self, code: str, who: str = "consumer/dev", **question: Any) -> None:
        with pytest.raises(CofferError) as refused:
            self.tenant.access(who, **question)
        assert refused.value.code == code
        self.answers.append(f"{refused.value.message} {refused.value!r} {vars(refused.value)}")

    def hold(self) -> None:
        """Search everywhere. That the search finds what is there is part of it."""
        marks = Canaries()
        for path in EVERY_PROCESS:
            request_id = str(uuid.uuid4())
            marks.plant(path, request_id)
            self.tenant.call("GET", path, headers={"x-request-id": request_id})
        # A line may wait a moment in its process before it is written; those before it are out then.
        eventually(lambda: marks.found_in(self.stack.logs()) == EVERY_PROCESS, "all is in the logs")
        logs, answers = self.stack.logs(), "\n".join(self.answers)
        assert marks.found_in(answers) == EVERY_PROCESS
        assert self.canaries.found_in(logs) == set(), "in a log"
        assert self.canaries.found_in(answers) == set(), "in an answer"
        tables = self.stack.dump()
        assert any(self.tenant.id in row for row in tables["secrets.value_version"])
        for table, rows in tables.items():
            assert self.canaries.found_in("\n".join(rows)) == set(), f"in {table}"
