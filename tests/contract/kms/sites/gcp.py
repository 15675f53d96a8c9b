"""A Google Cloud customer: devcloud's IAM and KMS, google-auth and google-cloud-kms in between."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from devcloud.gcp.control import GcpControl
from devcloud.gcp.model import ENCRYPTER_DECRYPTER, Purpose, VersionState
from devcloud.gcp.server import GcpServer
from services.kms.cloud_settings import GcpSettings
from services.kms.model import KmsTarget, Reason
from services.kms.providers.gcp import GcpProvider
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.cloud_site import CloudSite
from tests.contract.kms.sites.site import Operation
from tests.fakes.cloud_operators import be_operator_of_gcp, gcp_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from devcloud.gcp.seed import Customer
    from devcloud.http import HttpAnswer, HttpRequest
    from services.kms.ports import WrappingKey
    from tests.contract.kms.sites.site import MakeSite

_OPERATIONS = {
    Operation.LOGIN: "GenerateAccessToken",
    Operation.WRAP: "Encrypt",
    Operation.UNWRAP: "Decrypt",
}
_PERMISSIONS = {
    Operation.LOGIN: "iam.serviceAccounts.getAccessToken",
    Operation.WRAP: "cloudkms.cryptoKeyVersions.useToEncrypt",
    Operation.UNWRAP: "cloudkms.cryptoKeyVersions.useToDecrypt",
}
_WRONG_TYPES = {
    "signing": Purpose.ASYMMETRIC_SIGN,
    "asymmetric": Purpose.ASYMMETRIC_DECRYPT,
    "mac": Purpose.MAC,
}


@contextlib.contextmanager
def cloud() -> Iterator[MakeSite]:
    """The stand-in, and its metadata server as this process's machine."""
    with running() as server, server.control() as control:
        yield lambda **seconds: GcpSite(server, control, **seconds)


@contextlib.contextmanager
def running() -> Iterator[GcpServer]:
    """The stand-in alone, and this process as its operator."""
    with GcpServer.seeded() as server, pytest.MonkeyPatch.context() as env:
        be_operator_of_gcp(env, server)
        yield server


class GcpSite(CloudSite[GcpControl, GcpProvider]):
    """Implements `Site`; what only Google has is public too."""

    provider_name = "gcp"
    authenticates_context = True
    operations = _OPERATIONS
    permissions = _PERMISSIONS
    wrong_types = tuple(_WRONG_TYPES)
    redirects: tuple[Operation, ...] = (Operation.LOGIN,)
    destroyed = Reason.KEY_DISABLED

    def __init__(self, server: GcpServer, control: GcpControl, **seconds: float) -> None:
        super().__init__(control, **seconds)
        self.customer: Customer = control.create_customer()
        self.principal_email = server.announcement()["gcp_principal"]
        self.settings = gcp_settings(server)
        self._provider = self.provider()

    @property
    def provider_in_use(self) -> GcpProvider:
        """What `key` and `key_of` are made by."""
        return self._provider

    def provider(self, endpoints: GcpSettings | None = None) -> GcpProvider:
        """A further provider, at other endpoints."""
        provider = GcpProvider(
            self.meter,
            endpoints=endpoints or self.settings,
            principal=self.principal_email,
            total_seconds=self._total_seconds,
            reuse_seconds=self._reuse_seconds,
        )
        self._providers.push_async_callback(provider.close)
        return provider

    def target(
        self, key_ref: str | None = None, config: Mapping[str, str | None] | None = None
    ) -> KmsTarget:
        """The customer's key and service account, or others."""
        fields: dict[str, str | None] = {
            "impersonate_service_account": self.customer.service_account,
            "project_id": None,
        }
        return KmsTarget("gcp", key_ref or self.customer.key, fields | dict(config or {}))

    # Keys

    def missing(self) -> WrappingKey:
        return self.key(self._allowed("missing"))

    def of_wrong_type(self, kind: str) -> WrappingKey:
        name = self._allowed(kind)
        self.control.create_key(name, _WRONG_TYPES[kind])
        return self.key(name)

    def _allowed(self, name: str) -> str:
        """Any key of the ring may be used: else Google says the same of all that is not there."""
        ring, account = self.customer.key_ring, self.customer.service_account
        self.control.grant(ring, account, ENCRYPTER_DECRYPTER)
        return f"{ring}/cryptoKeys/{name}"

    def _at(self, listen: str) -> WrappingKey:
        """One where logging in works and the key is elsewhere: that is the connection of its own kind."""
        endpoints = GcpSettings(listen, self.settings.iam_endpoint_url, self.settings.ca_file)
        return self.provider(endpoints).key(self.tenant, self.target())

    # What its owner does

    def disable(self) -> None:
        self.control.disable(self.customer.key)

    def enable(self) -> None:
        self.control.enable(self.customer.key)
        self.control.allow(self.customer.key, self.customer.service_account)
        self.control.allow_impersonation(self.customer.service_account, self.principal_email)
        self._clear_faults()

    def destroy(self) -> None:
        self.control.set_state(self.customer.key, VersionState.DESTROYED)

    def deny(self, operation: Operation) -> None:
        account = self.customer.service_account
        if operation is Operation.LOGIN:
            self.control.revoke_impersonation(account, self.principal_email)
        else:
            self.control.deny(self.customer.key, account, [_PERMISSIONS[operation]])

    # What goes wrong

    def redirect(self, operation: Operation, url: str) -> None:
        assert operation is Operation.LOGIN
        resource, name = self._at_fault(operation)
        self.control.redirect(resource, url, name)
        self._provider = self.provider()

    def intercept(self, operation: Operation, answer: Callable[[HttpRequest], HttpAnswer]) -> None:
        assert operation is Operation.LOGIN
        elsewhere, ca_file = self._held.enter_context(servers.intercepting(answer))
        endpoints = GcpSettings(self.settings.kms_endpoint, elsewhere.url, ca_file)
        self._provider = self.provider(endpoints)

    def expire_logins(self) -> None:
        self.control.expire_tokens(self.customer.service_account)

    # What is seen

    def principal(self, operation: Operation) -> str:
        login = operation is Operation.LOGIN
        return self.principal_email if login else self.customer.service_account

    def key_name(self) -> str:
        return self.customer.key

    def _login_name(self) -> str:
        return self.customer.service_account
