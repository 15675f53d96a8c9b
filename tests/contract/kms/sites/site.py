"""One customer's key at one cloud, as the contract suite of all providers drives it.

Each provider has a `Site` beside this file: the REAL SDK client of the provider under test against a local
server that stands in for its cloud. Every method that changes the cloud takes effect before it returns.

Each file beside this one has a context manager `cloud() -> Iterator[MakeSite]`: it starts the stand-in once
for a module of tests, puts kms's ambient identity into the environment, and gives a function that makes
sites. `clouds.py` names it in its table `CLOUDS`; that one line is all that a further provider needs.

What the suite asks of every hint: it has `site.permission(...)`, `site.principal(...)` and the key's name
(`describe().key_ref`); for `throttled` and `unreachable` also the words "a retry is safe", for
`roundtrip_mismatch` "must not be used" (the wire contract, section 3). No exception of an SDK hangs on the
WrapError, not even as its `__context__`: raise outside the `except` block.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from devcloud.http import HttpAnswer, HttpRequest
    from services.kms.model import Reason
    from services.kms.ports import WrappingKey
    from tests.fakes.kms_keys import CountingMeter


class Operation(StrEnum):
    """What is asked of a cloud. `LOGIN`: assume-role, impersonation, token."""

    LOGIN = "login"
    WRAP = "wrap"
    UNWRAP = "unwrap"


class Site(Protocol):
    """A key that works, until something is done to it."""

    provider_name: str
    tenant: UUID
    meter: CountingMeter
    authenticates_context: bool
    """Whether the cloud itself refuses bytes wrapped for other facts (AWS, GCP) or cannot (Azure)."""
    wrong_types: tuple[str, ...]
    """Kinds of keys that cannot do it, for `of_wrong_type`."""
    redirects: tuple[Operation, ...]
    """Operations that travel over HTTP, where a redirect or a page can be the answer (gRPC knows none)."""
    destroyed: Reason
    """What `destroy` is to be reported as: `key_disabled`; `key_not_found` where the cloud tells no more."""

    # Keys

    def key(self) -> WrappingKey:
        """The customer's key."""
        ...

    def key_of(self, tenant: UUID) -> WrappingKey:
        """The same key and configuration for another tenant."""
        ...

    def missing(self) -> WrappingKey:
        """A key that is not there, at a place that is."""
        ...

    def of_wrong_type(self, kind: str) -> WrappingKey:
        """A key of one of `wrong_types`."""
        ...

    def unreachable(self) -> WrappingKey:
        """The key, at an endpoint where nobody listens."""
        ...

    def untrusted(self) -> WrappingKey:
        """The key, at an endpoint whose TLS certificate is of a stranger."""
        ...

    # What its owner does

    def disable(self) -> None:
        """The kill switch."""
        ...

    def enable(self) -> None:
        """Everything as it was: key, grants, no faults."""
        ...

    def destroy(self) -> None:
        """Pending deletion, destroyed version, deleted: the last state with a word about it."""
        ...

    def deny(self, operation: Operation) -> None:
        """Take away the permission for exactly that."""
        ...

    # What goes wrong

    def throttle(self, operation: Operation, times: int | None = None) -> None:
        """Refuse with the rate limit, `times` calls or until `enable`."""
        ...

    def slow(self, operation: Operation, seconds: float) -> None:
        """Answer so late."""
        ...

    def garble(self, operation: Operation) -> None:
        """Answer with status 200 and nonsense."""
        ...

    def drop(self, operation: Operation) -> None:
        """Close the connection instead of answering."""
        ...

    def corrupt(self) -> None:
        """Give back other bytes at unwrap, well-formed and (where there is one) with a right checksum."""
        ...

    def redirect(self, operation: Operation, url: str) -> None:
        """Answer with a redirect to `url`. Keys that are made afterwards meet it, with a new login."""
        ...

    def intercept(self, operation: Operation, answer: Callable[[HttpRequest], HttpAnswer]) -> None:
        """Something on the way answers instead of the cloud. Keys that are made afterwards meet it."""
        ...

    def expire_logins(self) -> None:
        """What was logged in is not any more; logging in again works."""
        ...

    # What is seen

    def count(self, operation: Operation) -> int:
        """Requests of that kind that the cloud has seen."""
        ...

    def permission(self, operation: Operation) -> str:
        """The provider's own name of the permission, as a hint must name it."""
        ...

    def principal(self, operation: Operation) -> str:
        """Who needs it, as a hint must name him."""
        ...

    def key_name(self) -> str:
        """The key, as a hint must name it."""
        ...

    async def close(self) -> None:
        """End the provider, and what the site alone started."""
        ...


class MakeSite(Protocol):
    """Makes a site with a tenant, a key and a provider of its own. Call it in the running event loop."""

    def __call__(self, *, total_seconds: float = 10.0, reuse_seconds: float = 30.0) -> Site:
        """The two are the provider's: how long a call may take, how long a login is used again."""
        ...
