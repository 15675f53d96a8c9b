"""The provider: sessions, bounded calls, one quick retry."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from services.kms.keys.turns import Turns
from services.kms.model import KeyDescription, Reason, Wrapped
from services.kms.providers.aws.errors import (
    SESSION_CODES,
    Action,
    AwsFault,
    Parties,
    another_key,
    mismatch,
    reason_of,
    wrap_error,
)
from services.kms.providers.aws.pool import Progress, SessionPool
from services.kms.providers.aws.sdk import AwsFailedError, Step, Threads, not_asked
from services.kms.providers.aws.sessions import REUSE_SECONDS, SessionKey, SessionMaker
from services.kms.validation import issued_external_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from types_boto3_kms import KMSClient

    from services.kms.model import KeyFacts, KmsTarget
    from services.kms.ports import Meter, WrappingKey

TOTAL_SECONDS: Final = 10.0
PER_TENANT: Final = 4
"""Calls of one tenant under way at a time; the others wait within their deadline."""
_QUICK_SECONDS: Final = 2.0
"""A failure that came later than this is not tried again."""
_RETRY_AFTER: Final = (0.05, 0.2)
_MASTER_KEY_BYTES: Final = 32


class AwsProvider:
    """Customers' keys in AWS. Belongs to one event loop; construction does no I/O."""

    def __init__(
        self,
        meter: Meter,
        *,
        sts_endpoint_url: str | None = None,
        kms_endpoint_url: str | None = None,
        principal_arn: str | None = None,
        total_seconds: float = TOTAL_SECONDS,
        reuse_seconds: float = REUSE_SECONDS,
    ) -> None:
        """Endpoints other than AWS's own come from the operator's settings and nowhere else.

        A session with a customer's role is used again for `reuse_seconds`.
        """
        self._principal_arn = principal_arn
        self._total_seconds = total_seconds
        self._maker = SessionMaker(
            sts_endpoint_url=sts_endpoint_url,
            kms_endpoint_url=kms_endpoint_url,
            reuse_seconds=reuse_seconds,
        )
        self._threads = Threads(meter)
        self._sessions = SessionPool(self._maker, self._threads)
        self._turns = Turns(PER_TENANT)
        self._under_way: set[asyncio.Task[Any]] = set()

    def key(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """The key of a checked target. Does no I/O.

        Without a `role_arn` (only the operator's own key has none) kms's own identity uses the key.
        """
        config = target.config
        region, role_arn = config["region"], config["role_arn"]
        assert region is not None
        external_id = config.get("external_id") or issued_external_id(tenant_id)
        session = SessionKey(tenant_id, role_arn, external_id, region)
        key_ref = target.resolved_key_ref or target.kms_key_ref
        parties = Parties(self._principal_arn, role_arn, external_id, region, key_ref)
        return AwsKey(self, session, parties)

    def close(self) -> None:
        """Begin no more calls."""
        self._threads.close()
        self._sessions.close()

    async def call(
        self,
        action: Action,
        session: SessionKey,
        parties: Parties,
        work: Callable[[KMSClient], dict[str, Any]],
    ) -> dict[str, Any]:
        """What `work` answers. Ends within the total time, whatever AWS does.

        Raises WrapError, and UnavailableError when AWS was not asked because too many calls wait.

        A call that is given up keeps its place among the tenant's calls until its thread is done.
        """
        deadline = asyncio.get_running_loop().time() + self._total_seconds
        progress = Progress(Step(action))
        task = asyncio.create_task(self._in_turn(action, session, work, deadline, progress))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(task)
        except AwsFailedError as error:
            failed = wrap_error(error.fault, error.action, parties)
        except TimeoutError:
            if not progress.asked:
                raise not_asked() from None
            failed = wrap_error(AwsFault(), progress.step.action, parties)
        finally:
            if not progress.asked:
                task.cancel()  # it waits for a place that nobody wants any more
        raise failed

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()

    async def _in_turn(
        self,
        action: Action,
        session_key: SessionKey,
        work: Callable[[KMSClient], dict[str, Any]],
        deadline: float,
        progress: Progress,
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        async with self._turns.take(session_key.tenant_id):
            for last in (False, True):
                began = loop.time()
                if began >= deadline:
                    break
                try:
                    return await self._once(action, session_key, work, deadline, progress)
                except AwsFailedError as error:
                    if last or not _again(error, progress, loop.time() - began):
                        raise
                await asyncio.sleep(random.uniform(*_RETRY_AFTER))  # noqa: S311 - only a delay
        raise not_asked()

    async def _once(
        self,
        action: Action,
        session_key: SessionKey,
        work: Callable[[KMSClient], dict[str, Any]],
        deadline: float,
        progress: Progress,
    ) -> dict[str, Any]:
        tenant_id = session_key.tenant_id
        if session_key.role_arn is None:
            step = progress.step = Step(action)
            return await self._threads.call(
                tenant_id, lambda: work(self._maker.own(session_key.region)), deadline, step
            )
        session = await self._sessions.get(session_key, deadline, progress)
        step = progress.step = Step(action)
        try:
            return await self._threads.call(tenant_id, lambda: work(session.kms), deadline, step)
        except AwsFailedError as error:
            if _may_be_the_session(error, progress):
                self._sessions.refused(session_key, session)
            raise


def _again(error: AwsFailedError, progress: Progress, took: float) -> bool:
    """Whether to ask once more: with a new session where that helps, or after a quick failure."""
    if error.action is not Action.ASSUME_ROLE and _may_be_the_session(error, progress):
        return True
    return not reason_of(error.fault).definite and took < _QUICK_SECONDS


def _may_be_the_session(error: AwsFailedError, progress: Progress) -> bool:
    """Whether KMS refused the session, not what was asked for.

    Where a customer revokes a role's active sessions, an old one is denied everything, like one whose role
    may not use the key; only a new session tells. One made for this very call has told.
    """
    denied = reason_of(error.fault) is Reason.ACCESS_DENIED
    return error.fault.code in SESSION_CODES or (denied and progress.reused)


class AwsKey:
    """A `WrappingKey`."""

    def __init__(self, provider: AwsProvider, session: SessionKey, parties: Parties) -> None:
        self._provider = provider
        self._session = session
        self._parties = parties

    def describe(self) -> KeyDescription:
        """The key as it is named to AWS, and who uses it."""
        permissions: tuple[Action, ...] = (Action.ENCRYPT, Action.DECRYPT)
        if self._parties.role_arn is not None:
            permissions = (Action.ASSUME_ROLE, *permissions)
        principal = self._parties.caller(Action.ENCRYPT)
        return KeyDescription(
            "aws", self._parties.key_ref, principal, permissions, "SYMMETRIC_DEFAULT"
        )

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Encrypt. Raises WrapError."""

        def encrypt(kms: KMSClient) -> dict[str, Any]:
            answer = kms.encrypt(
                KeyId=self._parties.key_ref,
                Plaintext=master_key,
                EncryptionContext=_context(facts),
            )
            return _checked(answer["CiphertextBlob"], answer["KeyId"])

        answer = await self._provider.call(Action.ENCRYPT, self._session, self._parties, encrypt)
        if not _may_answer(self._parties.key_ref, answer["key"]):
            raise another_key(self._parties)
        return Wrapped(answer["bytes"], answer["key"])

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Decrypt with the very key that encrypted. Raises WrapError."""
        key_ref = wrapped.key_ref or self._parties.key_ref

        def decrypt(kms: KMSClient) -> dict[str, Any]:
            answer = kms.decrypt(
                KeyId=key_ref, CiphertextBlob=wrapped.blob, EncryptionContext=_context(facts)
            )
            return _checked(answer["Plaintext"], answer["KeyId"])

        parties = replace(self._parties, key_ref=key_ref)
        answer = await self._provider.call(Action.DECRYPT, self._session, parties, decrypt)
        if answer["key"] != key_ref or len(answer["bytes"]) != _MASTER_KEY_BYTES:
            raise mismatch(parties)
        opened: bytes = answer["bytes"]
        return opened


def _checked(content: object, key: object) -> dict[str, Any]:
    """What must be in an answer: the SDK decodes wrong base64 to nothing and takes any JSON for a text."""
    if not isinstance(content, bytes) or not content:
        raise ValueError("no bytes in the answer")
    if not isinstance(key, str) or not key.startswith("arn:"):
        raise ValueError("no key ARN in the answer")
    return {"bytes": content, "key": key}


def _may_answer(asked: str, answered: str) -> bool:
    """Whether Encrypt, asked for the one, can have used the other: behind an alias any key beside it."""
    place, alias, _ = asked.partition(":alias/")
    return answered.startswith(f"{place}:key/") if alias else answered == asked


def _context(facts: KeyFacts) -> dict[str, str]:
    return {"coffer-tenant": str(facts.tenant_id), "coffer-key": str(facts.key_id)}
