"""An AWS customer: devcloud's STS and KMS over HTTP, boto3 in between."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcloud.aws.model import KeyState, KeyUsage
from devcloud.aws.server import AwsServer
from devcloud.faults import FaultKind
from services.kms.model import KmsTarget, Reason
from services.kms.providers.aws import AwsProvider
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.site import Operation
from tests.fakes.kms_keys import CountingMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from uuid import UUID

    from devcloud.aws.seed import Customer
    from devcloud.control import Control
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
    with (
        AwsServer.seeded() as server,
        server.control() as control,
        pytest.MonkeyPatch.context() as env,
    ):
        set_identity(env, server)
        yield lambda **seconds: AwsSite(server, control, **seconds)


def set_identity(env: pytest.MonkeyPatch, server: AwsServer) -> None:
    """Let this process be the operator of the stand-in."""
    told = server.announcement()
    env.setenv("AWS_ACCESS_KEY_ID", told["aws_access_key_id"])
    env.setenv("AWS_SECRET_ACCESS_KEY", told["aws_secret_access_key"])
    env.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        env.delenv(name, raising=False)


class AwsSite:
    """Implements `Site`; what only AWS has is public too."""

    provider_name = "aws"
    authenticates_context = True
    wrong_types = tuple(_WRONG_TYPES)
    redirects = tuple(Operation)
    destroyed = Reason.KEY_DISABLED

    def __init__(
        self,
        server: AwsServer,
        control: Control,
        *,
        total_seconds: float = 10.0,
        reuse_seconds: float = 30.0,
    ) -> None:
        self.tenant = uuid.uuid4()
        self.meter = CountingMeter()
        self.control = control
        self.customer: Customer = control.create_customer(external_id=f"coffer-{self.tenant}")
        self.principal_arn = server.announcement()["aws_principal_arn"]
        self._url = server.url
        self._total_seconds = total_seconds
        self._reuse_seconds = reuse_seconds
        self._held = contextlib.ExitStack()
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
        self._held.callback(provider.close)
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

    def key(self, key_ref: str | None = None, **config: str | None) -> WrappingKey:
        return self._provider.key(self.tenant, self.target(key_ref, config))

    def key_of(self, tenant: UUID) -> WrappingKey:
        return self._provider.key(tenant, self.target())

    def missing(self) -> WrappingKey:
        return self.key(f"{self.customer.key_arn.rpartition('/')[0]}/{uuid.uuid4()}")

    def of_wrong_type(self, kind: str) -> WrappingKey:
        spec, usage = _WRONG_TYPES[kind]
        account, region = self.customer.account, self.customer.region
        made = self.control.create_key(account=account, region=region, spec=spec, usage=usage)
        return self.key(made.arn)

    def unreachable(self) -> WrappingKey:
        port = self._held.enter_context(servers.closed_port())
        return self._at(f"http://127.0.0.1:{port}")

    def untrusted(self) -> WrappingKey:
        folder = self._held.enter_context(tempfile.TemporaryDirectory())
        context, _ = servers.certificate(Path(folder))
        return self._at(self._held.enter_context(servers.scripted(tls=context)).url)

    def _at(self, url: str) -> WrappingKey:
        return self.provider(sts=url, kms=url).key(self.tenant, self.target())

    # What its owner does

    def disable(self) -> None:
        self.control.disable(self.customer.key_arn)

    def enable(self) -> None:
        self.control.enable(self.customer.key_arn)
        self.control.allow(self.customer.key_arn)
        self.control.set_trusted(self.customer.role_arn, [self.principal_arn])
        self.control.clear_faults(self.customer.key_arn)
        self.control.clear_faults(self.customer.role_arn)

    def destroy(self) -> None:
        self.control.set_key_state(self.customer.key_arn, KeyState.PENDING_DELETION)

    def deny(self, operation: Operation) -> None:
        if operation is Operation.LOGIN:
            self.control.set_trusted(self.customer.role_arn, [])
        else:
            self.control.deny(self.customer.key_arn, [_PERMISSIONS[operation]])

    # What goes wrong

    def throttle(self, operation: Operation, times: int | None = None) -> None:
        self.control.throttle(*self._at_fault(operation), times)

    def slow(self, operation: Operation, seconds: float) -> None:
        resource, name = self._at_fault(operation)
        self.control.slow(resource, seconds, name)

    def garble(self, operation: Operation) -> None:
        self.control.break_answers(FaultKind.GARBAGE, *self._at_fault(operation))

    def drop(self, operation: Operation) -> None:
        self.control.break_answers(FaultKind.DROP, *self._at_fault(operation))

    def corrupt(self) -> None:
        self.control.break_answers(FaultKind.CORRUPT, *self._at_fault(Operation.UNWRAP))

    def redirect(self, operation: Operation, url: str) -> None:
        redirect = servers.redirecting(url)
        self.intercept(operation, lambda _request: redirect)

    def intercept(self, operation: Operation, answer: Callable[[HttpRequest], HttpAnswer]) -> None:
        elsewhere = self._held.enter_context(servers.scripted(answer)).url
        login = operation is Operation.LOGIN
        self._provider = self.provider(sts=elsewhere) if login else self.provider(kms=elsewhere)

    def expire_logins(self) -> None:
        self.control.end_sessions()

    def _at_fault(self, operation: Operation) -> tuple[str, str]:
        login = operation is Operation.LOGIN
        resource = self.customer.role_arn if login else self.customer.key_arn
        return resource, _OPERATIONS[operation]

    # What is seen

    def count(self, operation: Operation) -> int:
        resource, name = self._at_fault(operation)
        return self.control.count(name, resource)

    def permission(self, operation: Operation) -> str:
        return _PERMISSIONS[operation]

    def principal(self, operation: Operation) -> str:
        return self.principal_arn if operation is Operation.LOGIN else self.customer.role_arn

    def key_name(self) -> str:
        return self.customer.key_arn

    async def close(self) -> None:
        self._held.close()
