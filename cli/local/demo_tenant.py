"""The tenant `demo` of a local stack: made at first start, the same ever after."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cli.local.files import write_private

SLUG = "demo"
NAME = "Demo"
PLAN = "enterprise"
KEY_NAME = "coffer up"
SCOPES = (
    "secrets:read",
    "secrets:write",
    "collections:write",
    "environments:write",
    "api_keys:manage",
    "audit:read",
)
CONSUMER = "dev"
CONSUMER_SPIFFE_PATH = f"consumer/{CONSUMER}"


class Tenancy(Protocol):
    """What is needed of the tenant registry; `cli.tenancy` in the product."""

    def find_tenant(self, dsn: str, slug: str) -> str | None:
        """The id of the tenant with this slug."""

    def create_tenant(self, dsn: str, slug: str, name: str, plan: str) -> str:
        """Make a tenant; return its id."""

    def create_api_key(self, dsn: str, tenant_id: str, name: str, scopes: Sequence[str]) -> str:
        """Make a key that never expires; return the token, which is stored nowhere."""

    def api_key_works(self, dsn: str, tenant_id: str, token: str) -> bool:
        """Whether the token is of a key of the tenant that is neither revoked nor ended."""

    def lift_rate_limits(self, dsn: str, tenant_id: str) -> object:
        """Let no setting limit the tenant's keys; may be repeated."""

    def grant_consumer(self, dsn: str, tenant_id: str, consumer: str) -> object:
        """Let `spiffe://coffer/consumer/<consumer>` fetch the tenant's values; may be repeated."""


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """The tenant and its one API key."""

    tenant_id: str
    api_key: str = field(repr=False)


def ensure_demo_tenant(tenancy: Tenancy, dsn: str, file: Path) -> DemoTenant:
    """Find or make the tenant, its key and the development consumer's grant.

    The token is remembered in `file` (0600), with the tenant it belongs to: on another database, and once
    its key was revoked, a new one is made. A crash between making a key and remembering it costs an unused
    key.
    """
    tenant_id = tenancy.find_tenant(dsn, SLUG) or tenancy.create_tenant(dsn, SLUG, NAME, PLAN)
    demo = _remembered(file)
    if (
        demo is None
        or demo.tenant_id != tenant_id
        or not tenancy.api_key_works(dsn, tenant_id, demo.api_key)
    ):
        demo = DemoTenant(tenant_id, tenancy.create_api_key(dsn, tenant_id, KEY_NAME, SCOPES))
        content = {"tenant_id": demo.tenant_id, "api_key": demo.api_key}
        write_private(file, json.dumps(content))
    # A wish of the wire contract: whatever the operator's setting, who tries Coffer out is not limited.
    tenancy.lift_rate_limits(dsn, tenant_id)
    tenancy.grant_consumer(dsn, tenant_id, CONSUMER)
    return demo


def _remembered(file: Path) -> DemoTenant | None:
    try:
        return DemoTenant(**json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
