"""Tokens for calls, each made once however many wait for it. Belongs to one event loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.kms.providers.gcp.errors import Action, is_stale_token
from services.kms.providers.gcp.faults import GcpFailedError
from services.kms.providers.gcp.places import Places, Step
from services.kms.providers.gcp.tokens import IAM_SCOPE, KMS_SCOPE, OwnTokens, Token
from services.kms.providers.lanes import THREADS, Lanes

if TYPE_CHECKING:
    from services.kms.ports import Meter
    from services.kms.providers.gcp.tokens import Impersonation, LoginKey

MAX_TOKENS: Final = 512


@dataclass(frozen=True, slots=True)
class _Making:
    task: asyncio.Task[Token]
    step: Step

    @property
    def spent(self) -> bool:
        """Whether it gives no good token any more."""
        if not self.task.done():
            return False
        failed = self.task.cancelled() or self.task.exception() is not None
        return failed or not self.task.result().good

    def gave(self, token: Token) -> bool:
        """Whether this very token came from here."""
        done = self.task.done() and not self.task.cancelled()
        return done and self.task.exception() is None and self.task.result() is token


class OwnIdentity:
    """The platform's own tokens. In a thread of its own: no tenant can keep it busy."""

    def __init__(self, scope: str) -> None:
        self._tokens = OwnTokens(scope)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gcp-own")
        self._making: asyncio.Task[Token] | None = None
        self._refused: Token | None = None

    async def get(self, deadline: float) -> Token:
        """A token. Raises GcpFailedError with OWN_IDENTITY."""
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._get(deadline))
            self._making.add_done_callback(_look)
        return await asyncio.shield(self._making)

    async def _get(self, deadline: float) -> Token:
        until, refused = _monotonic(deadline), self._refused
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: self._tokens.get(until, refused)
        )

    def refused(self, token: Token) -> None:
        """Google did not take this one: make a new one the next time."""
        self._refused = token

    async def close(self) -> None:
        """Make no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._making is not None:
            await _end([self._making])
        self._tokens.close()


class Logins:
    """At most MAX_TOKENS; the least recently used go first."""

    def __init__(self, impersonation: Impersonation, meter: Meter) -> None:
        self._impersonation = impersonation
        self._places = Places(Lanes(), meter)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="gcp")
        self._for_iam = OwnIdentity(IAM_SCOPE)
        self._for_kms = OwnIdentity(KMS_SCOPE)
        self._made: OrderedDict[LoginKey, _Making] = OrderedDict()

    async def get(self, key: LoginKey | None, deadline: float, step: Step) -> Token:
        """The service account's token, one that is good or a new one; for None the platform's own.

        `step` tells how far it has come. Raises GcpFailedError, UnavailableError.
        """
        if key is None:
            step.begin(Action.LOGIN, own=True)
            return await self._for_kms.get(deadline)
        making = self._made.get(key)
        if making is None or making.spent:
            making = self._begin(key, deadline)
        self._made.move_to_end(key)
        step.follow(making.step)
        return await asyncio.shield(making.task)

    def _begin(self, key: LoginKey, deadline: float) -> _Making:
        step = Step()
        making = _Making(asyncio.create_task(self._make(key, deadline, step)), step)
        making.task.add_done_callback(_look)
        self._made[key] = making
        while len(self._made) > MAX_TOKENS:
            self._made.popitem(last=False)
        return making

    async def _make(self, key: LoginKey, deadline: float, step: Step) -> Token:
        step.begin(Action.LOGIN, own=True)
        own = await self._for_iam.get(deadline)
        step.wait()
        async with self._places.take(Action.LOGIN, key.tenant_id, deadline, step):
            until = _monotonic(deadline)
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    self._pool, lambda: self._impersonation.get(key, own, until)
                )
            except GcpFailedError as error:
                if is_stale_token(error.fault):
                    self._for_iam.refused(own)
                raise

    def refused(self, key: LoginKey | None, token: Token) -> None:
        """KMS did not take this one: make a new one the next time, unless somebody else has made it."""
        if key is None:
            self._for_kms.refused(token)
        elif (making := self._made.get(key)) is not None and making.gave(token):
            del self._made[key]

    async def close(self) -> None:
        """Begin no more logins; those under way end by their own time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await self._for_iam.close()
        await self._for_kms.close()
        await _end([making.task for making in self._made.values()])
        self._made.clear()
        self._impersonation.close()


def _monotonic(deadline: float) -> float:
    """A time of the loop's clock on time.monotonic."""
    return time.monotonic() + deadline - asyncio.get_running_loop().time()


def _look(task: asyncio.Task[Token]) -> None:
    """At the error of what nobody waits for any more."""
    if not task.cancelled():
        task.exception()


async def _end(tasks: list[asyncio.Task[Token]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
