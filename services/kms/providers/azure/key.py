"""A customer's key in a vault: what is asked of it, and what its answers must be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from services.kms.model import KeyDescription, Reason, WrapError, Wrapped
from services.kms.providers.azure.errors import Action, AzureFault, Parties
from services.kms.providers.azure.hints import mismatch, permission, principal, wrap_error
from services.kms.providers.azure.sdk import PROVIDER
from services.kms.providers.azure.sessions import ALGORITHM, Ask, SessionKey

if TYPE_CHECKING:
    from services.kms.model import KeyFacts

_MASTER_KEY_BYTES: Final = 32
_MODULUS_BYTES: Final = frozenset({256, 384, 512})
"""What RSA keys of Azure wrap to: 2048, 3072 or 4096 bits."""
AskVault = Callable[[Ask], Awaitable[tuple[str, bytes]]]
"""`AzureProvider.call`."""


class AzureKey:
    """A `WrappingKey`."""

    def __init__(self, call: AskVault, session: SessionKey, parties: Parties) -> None:
        self._call = call
        self._session = session
        self._parties = parties

    def describe(self) -> KeyDescription:
        """The key without a version, and the identity that uses it."""
        permissions = tuple(permission(one, self._parties) for one in (Action.WRAP, Action.UNWRAP))
        who = principal(self._parties)
        return KeyDescription(PROVIDER, self._parties.key.url, who, permissions, ALGORITHM)

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Wrap in the vault, under the key's current version. Raises WrapError.

        A path without a version means the current one, as Microsoft's own clients use it. `facts` bind
        nothing here: RSA-OAEP authenticates no context. The caller's check value does.
        """
        del facts
        key = self._parties.key
        kid, blob = await self._ask(Action.WRAP, self._parties, key.url, master_key)
        answered = key.identified(kid)
        if answered is None or not answered.is_of(key):
            raise mismatch(self._parties)
        if len(blob) not in _MODULUS_BYTES:
            raise wrap_error(AzureFault(Action.WRAP), self._parties)
        return Wrapped(blob, kid)

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Unwrap in the vault, under the very version that wrapped. Raises WrapError.

        Where what wrapped is not told, the key's current version is asked.
        """
        del facts
        key, parties = self._parties.key, self._parties
        named = None if wrapped.key_ref is None else key.identified(wrapped.key_ref)
        if named is None and wrapped.key_ref is not None:
            raise mismatch(parties)
        if named is not None:
            parties = replace(parties, key=named.key)
        asked = key.url if named is None else named.url
        kid, opened = await self._ask(Action.UNWRAP, parties, asked, wrapped.blob)
        answered = key.identified(kid)
        if (
            answered is None
            or not (answered.is_of(key) if named is None else answered.is_same(named))
            or len(opened) != _MASTER_KEY_BYTES
        ):
            raise mismatch(parties)
        return opened

    async def _ask(
        self, action: Action, parties: Parties, kid: str, data: bytes
    ) -> tuple[str, bytes]:
        return await self._call(Ask(action, self._session, parties, kid, data))


class NoKey:
    """A `WrappingKey` for what is not the URL of a key in a vault: nobody is asked."""

    def __init__(self, key_ref: str) -> None:
        self._key_ref = key_ref

    def describe(self) -> KeyDescription:
        """The reference as it is."""
        return KeyDescription(PROVIDER, self._key_ref, "(none)", (), ALGORITHM)

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Raises WrapError."""
        del facts, master_key
        raise self._refusal()

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Raises WrapError."""
        del facts, wrapped
        raise self._refusal()

    @staticmethod
    def _refusal() -> WrapError:
        text = "kms_key_ref is not the URL of a key in an Azure vault. Nobody was asked."
        return WrapError(Reason.INVALID_REQUEST, text)
