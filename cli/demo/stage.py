"""What the steps work on: the running stack, one tenant of it, its cloud and its consumer."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli import tenancy
from cli.demo.consumer import Consumer
from cli.demo.lanes import LANES
from cli.demo.rest import Rest
from cli.local.demo_tenant import CONSUMER, SCOPES
from cli.local.devcloud import ready_file
from cli.local.issuer import DevelopmentIssuer
from devcloud.azure.control import AzureControl
from devcloud.control import Control
from devcloud.gcp.control import GcpControl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.demo.display import Display
    from cli.demo.steps import Stop
    from cli.local.credentials import Credentials, DevcloudKey
    from cli.local.stack import Stack

SLUG = "acme"
NAME = "Acme Corporation"
PLAN = "enterprise"


@dataclass(frozen=True, slots=True)
class Stage:
    """A tenant on a running stack. `ttl_seconds` is how long kms may use a customer's master key."""

    credentials: Credentials
    rest: Rest
    consumer: Consumer
    control: Control
    gcp: GcpControl
    azure: AzureControl
    issuer: DevelopmentIssuer
    display: Display
    stop: Stop
    ttl_seconds: float

    @property
    def cloud(self) -> DevcloudKey:
        """The tenant's own key in each cloud, and what goes with it."""
        if self.credentials.devcloud is None:
            raise LookupError("the stack runs without its cloud stand-in")
        return self.credentials.devcloud

    def step_up(self) -> str:
        """A fresh step-up token of the tenant's owner."""
        return self.issuer.step_up(self.credentials.tenant_id)


def create_tenant(stack: Stack) -> Credentials:
    """A tenant with an API key, a granted consumer, and a key of its own in each cloud.

    From then on it is the tenant of `credentials.json`. Raises TenancyError, ControlError.
    """
    dsn = stack.admin_dsn
    tenant_id = tenancy.create_tenant(dsn, SLUG, NAME, PLAN)
    api_key = tenancy.create_api_key(dsn, tenant_id, "coffer demo", SCOPES)
    tenancy.grant_consumer(dsn, tenant_id, CONSUMER)
    with cloud_control(stack) as control:
        customer = control.create_customer(external_id=f"coffer-{tenant_id}")
    credentials = replace(
        stack.credentials,
        tenant_id=tenant_id,
        tenant_slug=SLUG,
        api_key=api_key,
        admin_jwt=DevelopmentIssuer(stack.keys.issuer_key_file).admin(tenant_id),
        devcloud=replace(
            stack.devcloud.key,
            aws_key_arn=customer.key_arn,
            aws_role_arn=customer.role_arn,
            aws_external_id=customer.external_id,
        ),
    )
    credentials.write(stack.directory)
    return credentials


@contextlib.contextmanager
def set_up(
    stack: Stack, credentials: Credentials, display: Display, stop: Stop, ttl_seconds: float
) -> Iterator[Stage]:
    """The clients of that tenant, closed at the end."""
    rest = Rest(credentials.base_url, credentials.api_key, credentials.admin_jwt, connections=LANES)
    ready = ready_file(stack.directory).path
    with (
        rest,
        Consumer(credentials) as consumer,
        cloud_control(stack) as control,
        GcpControl.from_ready_file(ready) as gcp,
        AzureControl.from_ready_file(ready) as azure,
    ):
        yield Stage(
            credentials=credentials,
            rest=rest,
            consumer=consumer,
            control=control,
            gcp=gcp,
            azure=azure,
            issuer=DevelopmentIssuer(stack.keys.issuer_key_file),
            display=display,
            stop=stop,
            ttl_seconds=ttl_seconds,
        )


def cloud_control(stack: Stack) -> Control:
    """The control side of the stack's cloud stand-in."""
    return Control.from_ready_file(ready_file(stack.directory).path)
