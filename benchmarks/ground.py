"""A stack of its own for one benchmark run, and tenants whose master keys are in the cloud stand-in."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from benchmarks.processes import Families
from cli import tenancy
from cli.local.demo_tenant import CONSUMER, SCOPES
from cli.local.devcloud import NAME as DEVCLOUD
from cli.local.issuer import DevelopmentIssuer
from cli.local.pki import DevelopmentPki
from cli.local.scratch import scratch_folder
from cli.local.services import SERVICES
from cli.local.stack import Stack
from devcloud.control import Control

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cli.local.programs import Parts
    from devcloud.aws.seed import Customer

HTTP_SECONDS: Final = 60.0


class ApiError(Exception):
    """The API refused what the benchmark needs; the text is its answer."""


@dataclass(frozen=True, slots=True)
class BenchTenant:
    """A tenant on the unlimited plan, onboarded."""

    id: str
    key_arn: str
    api_key: str = field(repr=False)


class Ground:
    """The running stack. Made by `running_ground`."""

    def __init__(self, stack: Stack, control: Control) -> None:
        self.stack = stack
        self.control = control
        self._http = httpx.Client(
            base_url=stack.credentials.base_url, timeout=HTTP_SECONDS, trust_env=False
        )
        self._issuer = DevelopmentIssuer(stack.keys.issuer_key_file)
        self._tokens: dict[str, str] = {}

    @property
    def families(self) -> Families:
        """Every process of the stack."""
        return Families({name: self.stack.pid(name) for name in ("postgres", DEVCLOUD, *SERVICES)})

    def tenant(self, slug: str) -> BenchTenant:
        """A new tenant with an API key, a grant for the consumer, and a key of its own in the cloud."""
        dsn = self.stack.admin_dsn
        tenant_id = tenancy.create_tenant(dsn, slug, slug, "enterprise")
        api_key = tenancy.create_api_key(dsn, tenant_id, "benchmark", SCOPES)
        tenancy.grant_consumer(dsn, tenant_id, CONSUMER)
        customer = self.control.create_customer(external_id=f"coffer-{tenant_id}")
        made = BenchTenant(tenant_id, customer.key_arn, api_key)
        self._onboard(made, customer)
        return made

    def admin(
        self,
        tenant: BenchTenant,
        method: str,
        path: str,
        *,
        step_up: bool = False,
        body: object = None,
    ) -> dict[str, Any]:
        """A call of the tenant's owner. Raises ApiError for any answer but success."""
        token = self._tokens.setdefault(tenant.id, self._issuer.admin(tenant.id))
        headers = {"authorization": f"Bearer {token}"}
        if step_up:
            headers["x-knoxcall-stepup"] = self._issuer.step_up(tenant.id)
        answer = self._http.request(method, path, headers=headers, json=body)
        if not answer.is_success:
            raise ApiError(f"{method} {path}: {answer.status_code} {answer.text}")
        content: dict[str, Any] = json.loads(answer.content)
        return content

    def create(self, tenant: BenchTenant, name: str, value: str) -> str:
        """Store one string and return its id. Raises ApiError for any answer but success."""
        headers = {"authorization": f"Bearer {tenant.api_key}"}
        answer = self._http.post(
            "/v1/secrets", headers=headers, json={"name": name, "value": value}
        )
        if not answer.is_success:
            raise ApiError(f"POST /v1/secrets: {answer.status_code} {answer.text}")
        return str(answer.json()["data"]["id"])

    def cloud_calls(self) -> dict[str, int]:
        """Calls of the cloud since its start, by operation, refused ones too."""
        calls: dict[str, int] = {}
        for tally in self.control.tallies():
            calls[tally.operation] = calls.get(tally.operation, 0) + tally.calls
        return calls

    def consumer(self) -> dict[str, str]:
        """The files of the consumer that may fetch values."""
        known = self.stack.credentials
        return {
            "cert_file": known.client_cert_file,
            "key_file": known.client_key_file,
            "ca_file": known.ca_file,
        }

    @property
    def pki(self) -> DevelopmentPki:
        """The certificate authority of the stack."""
        return DevelopmentPki(self.stack.directory.pki)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _onboard(self, tenant: BenchTenant, customer: Customer) -> None:
        config = {"region": customer.region, "role_arn": customer.role_arn}
        body = {"provider": "aws", "kms_key_ref": customer.key_arn, "config": config}
        self.admin(tenant, "POST", "/admin/tenant-kms", body=body)


def made_since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """The calls of each operation between two readings, none left out that was made."""
    found = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in found.items() if count}


@contextlib.contextmanager
def running_ground(
    parts: Parts | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Ground]:
    """Start a stack in a scratch folder, fsync on; both are gone at the end.

    No setting of Coffer is taken from our environment: what is measured are the defaults, but for `settings`.
    """
    operator = {k: v for k, v in os.environ.items() if not k.startswith("COFFER_")}
    with contextlib.ExitStack() as undo:
        folder = undo.enter_context(scratch_folder())
        stack = Stack(
            folder / "data",
            devcloud=True,
            settings=settings,
            durable=True,
            parts=parts,
            operator=operator,
        )
        undo.enter_context(stack)
        cloud = stack.devcloud
        control = undo.enter_context(Control(cloud.key.aws_endpoint_url, cloud.control_token))
        ground = Ground(stack, control)
        undo.callback(ground.close)
        yield ground
