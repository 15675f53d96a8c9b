"""The operator's own wrapping key in a cloud, wrap method `operator_kms`, COFFER_KMS_OPERATOR_*.

A key version belongs to no binding here: what wrapped it is the name that the provider gave then (AWS: key
ARN, Google Cloud: key version, Azure: versioned key id), stored beside it. It is opened by the present or
the previous key (COFFER_KMS_OPERATOR_PREVIOUS_*), whichever has that name. Where neither has, keys of the
same provider are tried, the name that was stored goes along:

- AWS opens it in the configured region: so an alias that was moved changes nothing, a key of another region
  needs to be named as the previous one;
- Google Cloud opens it in any location, also another key's;
- Azure opens it in the configured vault: another vault's needs to be named;

and each only as the configured identity, if that may use it.

Permissions and algorithms are those of each provider; a role or service account may be left out, then kms's
own identity needs them. AWS: with a role but without `external_id`, `coffer-` and the zero UUID is sent.

When the key cannot be used, requests are refused without asking for each of them: see `braking.Brake`. Not
promised: that open master keys are dropped when the operator's key refuses; they end with their time to
live, because this key is the operator's own and no customer's kill switch.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from services.common.errors import UnavailableError
from services.kms.model import KeyDescription, Reason, WrapError
from services.kms.validation import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from services.kms.model import KeyFacts, KmsTarget, Wrapped
    from services.kms.ports import WrappingKey
    from services.kms.providers.braking import Brake
    from services.kms.providers.catalog import Provider

TOTAL_SECONDS: Final = 10.0
AT_ONCE: Final = 8
"""Calls under way at a time, of all tenants: they must not fill what customers' keys are asked through."""
_OF_ONE_ROW: Final = (Reason.ROUNDTRIP_MISMATCH, Reason.INVALID_REQUEST)
"""What says more about the bytes than about the key."""
_SHAPES: Final = {"aws": "arn:", "gcp": "projects/", "azure": "https://"}

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LocatedKey:
    """A key and where it is."""

    target: KmsTarget
    key: WrappingKey

    @classmethod
    def find(cls, target: KmsTarget | None, clouds: Mapping[str, Provider]) -> LocatedKey | None:
        """The operator's key of a checked target, if there is one. Does no I/O."""
        if target is None:
            return None
        return cls(target, clouds[target.provider].key(OPERATOR, target))

    def is_named(self, key_ref: str) -> bool:
        """Whether the provider's name of what wrapped is this key's, or a version's of it."""
        own, name = self.target.kms_key_ref.lower(), key_ref.lower()
        return name == own or name.startswith(f"{own}/")

    def is_of_provider(self, key_ref: str) -> bool:
        """Whether the name is one of the same provider's."""
        return key_ref.startswith(_SHAPES[self.target.provider])


class OperatorKey:
    """A `TurnableKey`. Belongs to one event loop; construction does no I/O."""

    def __init__(
        self,
        present: LocatedKey | None,
        previous: LocatedKey | None,
        brake: Brake,
        *,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        """Without `present` it wraps nothing, and still opens what `previous` wrapped."""
        self._present = present
        self._previous = previous
        self._brake = brake
        self._total_seconds = total_seconds
        self._places = asyncio.Semaphore(AT_ONCE)

    def describe(self) -> KeyDescription:
        """The present key as its provider describes it."""
        if self._present is None:
            return KeyDescription("platform", "COFFER_KMS_OPERATOR_KEY_REF", "kms", (), "none")
        return self._present.key.describe()

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Wrap under the present key. Raises WrapError, UnavailableError."""
        present = self._present
        if present is None:
            raise WrapError(
                Reason.KEY_NOT_FOUND, "COFFER_KMS_OPERATOR_KEY_REF names no key to wrap with."
            )
        name = present.target.kms_key_ref
        return await self._ask(name, facts, lambda: present.key.wrap(facts, master_key))

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Unwrap by what wrapped it, present or previous. Raises WrapError, UnavailableError."""
        first: WrapError | None = None
        for one in self._candidates(wrapped.key_ref or ""):
            name = f"{one.target.kms_key_ref} {wrapped.key_ref}"
            try:
                return await self._ask(name, facts, _opening(one.key, facts, wrapped))
            except WrapError as error:
                first = first or error
        raise first or WrapError(
            Reason.KEY_NOT_FOUND,
            f"A master key was wrapped by {wrapped.key_ref}, which neither COFFER_KMS_OPERATOR_KEY_REF nor"
            " COFFER_KMS_OPERATOR_PREVIOUS_KEY_REF names: name it as the previous one.",
        )

    def is_present(self, facts: KeyFacts, wrapped: Wrapped, present_ref: str | None) -> bool:  # noqa: ARG002
        """See TurnableKey. Tells by the provider's name of the key version, without asking."""
        return wrapped.key_ref is not None and wrapped.key_ref == present_ref

    def _candidates(self, key_ref: str) -> list[LocatedKey]:
        known = [key for key in (self._present, self._previous) if key is not None]
        named = [key for key in known if key.is_named(key_ref)]
        return named or [key for key in known if key.is_of_provider(key_ref)]

    async def _ask(self, name: str, facts: KeyFacts, call: Callable[[], Awaitable[_T]]) -> _T:
        asked, row = False, f"{name} for {facts.key_id}"
        try:
            async with asyncio.timeout(self._total_seconds), self._places:
                self._brake.admit(row)
                self._brake.admit(name)
                asked = True
                answer = await call()
        except TimeoutError:
            if not asked:
                raise UnavailableError("Too many calls wait for the platform's key.") from None
            error = WrapError(Reason.UNREACHABLE, "The provider did not answer in time.")
            self._failed(name, error)
            raise error from None
        except WrapError as error:
            if asked:
                self._failed(row if error.reason in _OF_ONE_ROW else name, error)
            raise
        self._brake.worked(row)
        if self._brake.worked(name):
            _log.warning("the operator's key can be used again: %s", name)
        return answer

    def _failed(self, name: str, error: WrapError) -> None:
        if self._brake.failed(name, error):
            _log.error(
                "the operator's key cannot be used: %s: %s; %s", name, error.reason, error.hint
            )


def _opening(key: WrappingKey, facts: KeyFacts, wrapped: Wrapped) -> Callable[[], Awaitable[bytes]]:
    return lambda: key.unwrap(facts, wrapped)
