"""The part of `Site` that is the same with every cloud: its weather, its counters, its dead ends."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from devcloud.faults import FaultKind
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.site import Operation
from tests.fakes.kms_keys import CountingMeter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from devcloud.control_client import ControlClient
    from services.kms.model import KmsTarget
    from services.kms.ports import WrappingKey


class Provider(Protocol):
    """What a site makes keys by."""

    def key(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """The tenant's key."""


AControl = TypeVar("AControl", bound="ControlClient")
AProvider = TypeVar("AProvider", bound=Provider)


class CloudSite(ABC, Generic[AControl, AProvider]):
    """A key at a stand-in; see `Site`. `_provider` is what `key` and `key_of` are made by.

    What is on `_providers` is closed before what is on `_held`.
    """

    operations: ClassVar[Mapping[Operation, str]]
    """As the stand-in counts them and faults name them."""
    permissions: ClassVar[Mapping[Operation, str]]
    """As a hint must name them."""
    _provider: AProvider

    def __init__(
        self, control: AControl, *, total_seconds: float = 10.0, reuse_seconds: float = 30.0
    ) -> None:
        self.tenant = uuid.uuid4()
        self.meter = CountingMeter()
        self.control = control
        self._total_seconds = total_seconds
        self._reuse_seconds = reuse_seconds
        self._held = contextlib.ExitStack()
        self._providers = contextlib.AsyncExitStack()

    @abstractmethod
    def target(
        self, key_ref: str | None = None, config: Mapping[str, str | None] | None = None
    ) -> KmsTarget:
        """The customer's key and configuration, or others."""

    @abstractmethod
    def key_name(self) -> str:
        """The key, as hints, faults and counters name it."""

    @abstractmethod
    def _login_name(self) -> str:
        """What logging in goes by in faults and counters."""

    @abstractmethod
    def _at(self, listen: str) -> WrappingKey:
        """The key at another endpoint, `host:port`."""

    # Keys

    def key(self, key_ref: str | None = None, **config: str | None) -> WrappingKey:
        return self._provider.key(self.tenant, self.target(key_ref, config))

    def key_of(self, tenant: UUID) -> WrappingKey:
        return self._provider.key(tenant, self.target())

    def unreachable(self) -> WrappingKey:
        port = self._held.enter_context(servers.closed_port())
        return self._at(f"127.0.0.1:{port}")

    def untrusted(self) -> WrappingKey:
        folder = self._held.enter_context(tempfile.TemporaryDirectory())
        context, _ = servers.certificate(Path(folder))
        return self._at(self._held.enter_context(servers.scripted(tls=context)).listen)

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

    def _clear_faults(self) -> None:
        self.control.clear_faults(self.key_name())
        self.control.clear_faults(self._login_name())

    def _at_fault(self, operation: Operation) -> tuple[str, str]:
        resource = self._login_name() if operation is Operation.LOGIN else self.key_name()
        return resource, self.operations[operation]

    # What is seen

    def count(self, operation: Operation) -> int:
        resource, name = self._at_fault(operation)
        return self.control.count(name, resource)

    def permission(self, operation: Operation) -> str:
        return self.permissions[operation]

    async def close(self) -> None:
        await self._providers.aclose()
        self._held.close()
