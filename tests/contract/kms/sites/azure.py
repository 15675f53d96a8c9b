"""An Azure customer: devcloud's vault and Entra login over HTTPS, azure-keyvault-keys in between."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from devcloud.azure.control import AzureControl
from devcloud.azure.model import UNWRAP, WRAP
from devcloud.azure.server import AzureServer
from services.kms.model import KmsTarget, Reason
from services.kms.providers.azure import AzureProvider
from services.kms.validation import Rules
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.cloud_site import CloudSite
from tests.contract.kms.sites.site import Operation
from tests.fakes.cloud_operators import azure_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from devcloud.azure.seed import Customer
    from devcloud.http import HttpAnswer, HttpRequest
    from services.kms.cloud_settings import AzureSettings
    from services.kms.ports import WrappingKey
    from tests.contract.kms.sites.site import MakeSite

_OPERATIONS = {
    Operation.LOGIN: "Token",
    Operation.WRAP: "WrapKey",
    Operation.UNWRAP: "UnwrapKey",
}
_PERMISSIONS = {
    Operation.LOGIN: "a token for https://vault.azure.net",
    Operation.WRAP: "Microsoft.KeyVault/vaults/keys/wrap/action",
    Operation.UNWRAP: "Microsoft.KeyVault/vaults/keys/unwrap/action",
}
_GRANTS = {Operation.WRAP: WRAP, Operation.UNWRAP: UNWRAP}
_WRONG_TYPES = {
    "elliptic curve": ("EC", None),
    "for signatures only": ("RSA", ("sign", "verify")),
}


@contextlib.contextmanager
def cloud() -> Iterator[MakeSite]:
    """The stand-in. kms's ambient identity is a federated token, as in Kubernetes."""
    with AzureServer.seeded() as server, server.control() as control:
        yield lambda **seconds: AzureSite(server, control, **seconds)


class AzureSite(CloudSite[AzureControl, AzureProvider]):
    """Implements `Site`; what only Azure has is public too."""

    provider_name = "azure"
    authenticates_context = False
    operations = _OPERATIONS
    permissions = _PERMISSIONS
    wrong_types = tuple(_WRONG_TYPES)
    redirects = tuple(Operation)
    destroyed = Reason.KEY_NOT_FOUND

    def __init__(self, server: AzureServer, control: AzureControl, **seconds: float) -> None:
        super().__init__(control, **seconds)
        self.told = server.announcement()
        self.customer: Customer = control.create_customer()
        self.application_id = self.told["azure_application_id"]
        self.environ = {"AZURE_FEDERATED_TOKEN_FILE": self.told["azure_federated_token_file"]}
        self.endpoints = azure_settings(server)
        self._provider = self.provider()

    def provider(
        self,
        endpoints: AzureSettings | None = None,
        environ: Mapping[str, str] | None = None,
        rules: Rules | None = None,
    ) -> AzureProvider:
        """A further provider, at other endpoints, in another environment or with rules."""
        provider = AzureProvider(
            self.meter,
            endpoints=endpoints or self.endpoints,
            application_id=self.application_id,
            environ=self.environ if environ is None else environ,
            rules=rules or Rules(),
            total_seconds=self._total_seconds,
            reuse_seconds=self._reuse_seconds,
        )
        self._providers.push_async_callback(provider.close)
        return provider

    def target(
        self, key_ref: str | None = None, config: Mapping[str, str | None] | None = None
    ) -> KmsTarget:
        """The customer's key and tenant, or others."""
        fields: dict[str, str | None] = {
            "vault_url": self.customer.vault_url,
            "azure_tenant_id": self.customer.tenant_id,
            "client_id": None,
            "client_secret_env_var": None,
        }
        return KmsTarget("azure", key_ref or self.customer.key, fields | dict(config or {}))

    @property
    def vault(self) -> str:
        """The host of the customer's vault."""
        return self.customer.vault_url.removeprefix("https://")

    # Keys

    def missing(self) -> WrappingKey:
        return self.key(f"{self.customer.vault_url}/keys/nobody")

    def of_wrong_type(self, kind: str) -> WrappingKey:
        kty, key_ops = _WRONG_TYPES[kind]
        name = f"k{uuid.uuid4().hex}"
        made = self.control.create_key(self.vault, name, kty=kty, key_ops=key_ops)
        return self.key(made.url)

    def _at(self, listen: str) -> WrappingKey:
        url = f"https://{listen}"
        elsewhere = replace(self.endpoints, vault_endpoint_url=url, authority_url=url)
        return self.provider(elsewhere).key(self.tenant, self.target())

    # What its owner does

    def disable(self) -> None:
        self.control.disable(self.customer.key)

    def enable(self) -> None:
        self.control.recover(self.customer.key)
        self.control.enable(self.customer.key)
        self.control.allow(self.customer.key)
        self.control.consent(self.application_id, self.customer.tenant_id)
        self._clear_faults()

    def destroy(self) -> None:
        self.control.delete(self.customer.key)

    def deny(self, operation: Operation) -> None:
        if operation is Operation.LOGIN:
            self.control.revoke_consent(self.application_id, self.customer.tenant_id)
        else:
            self.control.deny(self.customer.key, [_GRANTS[operation]])

    # What goes wrong

    def redirect(self, operation: Operation, url: str) -> None:
        resource, name = self._at_fault(operation)
        self.control.redirect(resource, url, name)

    def intercept(self, operation: Operation, answer: Callable[[HttpRequest], HttpAnswer]) -> None:
        trusted = Path(self.told["azure_ca_file"])
        elsewhere, ca_file = self._held.enter_context(servers.intercepting(answer, trusted))
        login = operation is Operation.LOGIN
        place = {"authority_url" if login else "vault_endpoint_url": elsewhere.url}
        self._provider = self.provider(replace(self.endpoints, ca_file=ca_file, **place))

    def expire_logins(self) -> None:
        self.control.expire_tokens()

    # What is seen

    def principal(self, operation: Operation) -> str:
        return f"application {self.application_id}"

    def key_name(self) -> str:
        return self.customer.key

    def _login_name(self) -> str:
        return self.customer.tenant_id
