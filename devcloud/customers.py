"""Customers in any of the three clouds: what they send to connect their key, and what befalls them alone.

For the tests and the benchmarks. A customer's weather is its own: nobody else's key, role or account is
touched by it, so that many may share one running stand-in.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from devcloud.azure.control import AzureControl
from devcloud.control import Control
from devcloud.gcp.control import GcpControl

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PROVIDERS: Final = ("aws", "gcp", "azure")
HANG_SECONDS: Final = 30.0
"""Longer than anybody waits for a cloud."""


@dataclass(frozen=True, slots=True)
class CloudCustomer:
    """One customer's key, and whom kms has to become to use it."""

    provider: str
    key: str
    """As faults and counters name it."""
    principal: str
    """What logging in goes by: the role, the service account, the directory."""
    body: dict[str, Any]
    """What the customer sends to POST /admin/tenant-kms."""
    control: Control | GcpControl | AzureControl

    def hang(self, *, login: bool = True, key: bool = True) -> None:
        """Let logging in, and the key's operations, answer far too late."""
        for resource, wanted in ((self.principal, login), (self.key, key)):
            if wanted:
                self.control.slow(resource, HANG_SECONDS)

    def heal(self) -> None:
        """Answer again."""
        self.control.clear_faults(self.principal)
        self.control.clear_faults(self.key)

    def disable(self) -> None:
        """The kill switch."""
        self.control.disable(self.key)

    def enable(self) -> None:
        """Make the key usable again."""
        self.control.enable(self.key)

    def asked(self) -> int:
        """Calls made for this customer that wait for their answer now."""
        mine = (self.key, self.principal)
        return sum(tally.in_flight for tally in self.control.tallies() if tally.resource in mine)


class Clouds:
    """The control doors of three running stand-ins. Use as a context manager."""

    def __init__(self, aws: Control, gcp: GcpControl, azure: AzureControl) -> None:
        self._aws = aws
        self._gcp = gcp
        self._azure = azure

    @classmethod
    def from_ready_file(cls, path: Path) -> Clouds:
        """Of the process that wrote this ready file."""
        return cls(
            Control.from_ready_file(path),
            GcpControl.from_ready_file(path),
            AzureControl.from_ready_file(path),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.ExitStack() as closing:
            for control in (self._aws, self._gcp, self._azure):
                closing.callback(control.close)

    def customer(self, provider: str, tenant_id: str) -> CloudCustomer:
        """A new customer of one of PROVIDERS, who trusts the operator of the stand-in for this tenant."""
        if provider == "aws":
            return self._aws_customer(tenant_id)
        return self._gcp_customer() if provider == "gcp" else self._azure_customer()

    def _aws_customer(self, tenant_id: str) -> CloudCustomer:
        made = self._aws.create_customer(external_id=f"coffer-{tenant_id}")
        config = {
            "region": made.region,
            "role_arn": made.role_arn,
            "external_id": made.external_id,
        }
        return CloudCustomer(
            "aws", made.key_arn, made.role_arn, _body("aws", made.key_arn, config), self._aws
        )

    def _gcp_customer(self) -> CloudCustomer:
        made = self._gcp.create_customer()
        config = {"impersonate_service_account": made.service_account}
        return CloudCustomer(
            "gcp", made.key, made.service_account, _body("gcp", made.key, config), self._gcp
        )

    def _azure_customer(self) -> CloudCustomer:
        made = self._azure.create_customer()
        config = {"vault_url": made.vault_url, "azure_tenant_id": made.tenant_id}
        return CloudCustomer(
            "azure", made.key, made.tenant_id, _body("azure", made.key, config), self._azure
        )


def _body(provider: str, key_ref: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"provider": provider, "kms_key_ref": key_ref, "config": config}
