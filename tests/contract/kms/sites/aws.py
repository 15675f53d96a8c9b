"""An AWS customer: devcloud's STS and KMS over HTTP, boto3 in between."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import pytest

from devcloud.aws.model import KeyState, KeyUsage
from devcloud.aws.server import AwsServer
from devcloud.control import Control
from services.kms.model import KmsTarget, Reason
from services.kms.providers.aws import AwsProvider
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.cloud_site import CloudSite
from tests.contract.kms.sites.site import Operation
from tests.fakes.cloud_operators import be_operator_of_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from devcloud.aws.seed import Customer
    from devcloud.http import HttpAnswer, HttpRequest
    from services.kms.ports import WrappingKey
    from tests.contract.kms.sites.site import MakeSite

_OPERATIONS = {
    Operation.LOGIN: "AssumeRole",
    Operation.WRAP: "Encrypt",
    Operation.UNWRAP: "Decrypt",
}
_PERMISSIONS = {
    Operation.LOGIN: "sts:AssumeRole",
    Operation.WRAP: "kms:Encrypt",
    Operation.UNWRAP: "kms:Decrypt",
}
_WRONG_TYPES = {
    "asymmetric": ("RSA_2048", KeyUsage.ENCRYPT_DECRYPT),
    "signing": ("ECC_NIST_P256", KeyUsage.SIGN_VERIFY),
    "mac": ("HMAC_256", KeyUsage.GENERATE_VERIFY_MAC),
}


@contextlib.contextmanager
def cloud() -> Iterator[MakeSite]:
    """The stand-in, and the operator's credentials in this process's environment."""
    with running() as server, server.control() as control:
        yield lambda **seconds: AwsSite(server, control, **seconds)


@contextlib.contextmanager
def running() -> Iterator[AwsServer]:
    """The stand-in alone, and this process as its operator."""
    with AwsServer.seeded() as server, pytest.MonkeyPatch.context() as env:
        be_operator_of_aws(env, server)
        yield server


class AwsSite(CloudSite[Control, AwsProvider]):
    """Implements `Site`; what only AWS has is public too."""

    provider_name = "aws"
    authenticates_context = True
    operations = _OPERATIONS
    permissions = _PERMISSIONS
    wrong_types = tuple(_WRONG_TYPES)
    redirects = tuple(Operation)
    destroyed = Reason.KEY_DISABLED

    def __init__(self, server: AwsServer, control: Control, **seconds: float) -> None:
        super().__init__(control, **seconds)
        self.customer: Customer = control.create_customer(external_id=f"coffer-{self.tenant}")
        self.principal_arn = server.announcement()["aws_principal_arn"]
        self._url = server.url
        self._provider = self.provider()

    def provider(self, *, sts: str | None = None, kms: str | None = None) -> AwsProvider:
        """A further provider, at other endpoints."""
        provider = AwsProvider(
            self.meter,
            sts_endpoint_url=sts or self._url,
            kms_endpoint_url=kms or self._url,
            principal_arn=self.principal_arn,
            total_seconds=self._total_seconds,
            reuse_seconds=self._reuse_seconds,
        )
        self._providers.callback(provider.close)
        return provider

    def target(
        self, key_ref: str | None = None, config: Mapping[str, str | None] | None = None
    ) -> KmsTarget:
        """The customer's key and role, or others."""
        fields: dict[str, str | None] = {
            "region": self.customer.region,
            "role_arn": self.customer.role_arn,
            "external_id": self.customer.external_id,
        }
        return KmsTarget("aws", key_ref or self.customer.key_arn, fields | dict(config or {}))

    # Keys

    def missing(self) -> WrappingKey:
        return self.key(f"{self.customer.key_arn.rpartition('/')[0]}/{uuid.uuid4()}")

    def of_wrong_type(self, kind: str) -> WrappingKey:
        spec, usage = _WRONG_TYPES[kind]
        account, region = self.customer.account, self.customer.region
        made = self.control.create_key(account=account, region=region, spec=spec, usage=usage)
        return self.key(made.arn)

    def _at(self, listen: str) -> WrappingKey:
        url = f"https://{listen}"
        return self.provider(sts=url, kms=url).key(self.tenant, self.target())

    # What its owner does

    def disable(self) -> None:
        self.control.disable(self.customer.key_arn)

    def enable(self) -> None:
        self.control.enable(self.customer.key_arn)
        self.control.allow(self.customer.key_arn)
        self.control.set_trusted(self.customer.role_arn, [self.principal_arn])
        self._clear_faults()

    def destroy(self) -> None:
        self.control.set_key_state(self.customer.key_arn, KeyState.PENDING_DELETION)

    def deny(self, operation: Operation) -> None:
        if operation is Operation.LOGIN:
            self.control.set_trusted(self.customer.role_arn, [])
        else:
            self.control.deny(self.customer.key_arn, [_PERMISSIONS[operation]])

    # What goes wrong

    def redirect(self, operation: Operation, url: str) -> None:
        redirect = servers.redirecting(url)
        self.intercept(operation, lambda _request: redirect)

    def intercept(self, operation: Operation, answer: Callable[[HttpRequest], HttpAnswer]) -> None:
        elsewhere = self._held.enter_context(servers.scripted(answer)).url
        login = operation is Operation.LOGIN
        self._provider = self.provider(sts=elsewhere) if login else self.provider(kms=elsewhere)

    def expire_logins(self) -> None:
        self.control.end_sessions()

    # What is seen

    def principal(self, operation: Operation) -> str:
        return self.principal_arn if operation is Operation.LOGIN else self.customer.role_arn

    def key_name(self) -> str:
        return self.customer.key_arn

    def _login_name(self) -> str:
        return self.customer.role_arn
