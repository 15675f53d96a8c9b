"""The client for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

import grpc

from coffer_client import messages, texts
from coffer_client.asking import Asker, as_wanted
from coffer_client.errors import CofferClientError, TooLargeError
from coffer_client.lines import Lines, credentials, options
from coffer_client.model import Wanted
from coffer_client.retries import Attempts, Retries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from types import TracebackType
    from uuid import UUID

    from coffer_client.asking import Ask, Which
    from coffer_client.model import Secret, StoredValue
    from coffer_client.tls import ClientTls, Identity

DEFAULT_TIMEOUT_SECONDS: Final = 10.0


class CofferClient:
    """Fetches values as a granted consumer, and writes with an API key. For one event loop.

    Connects at the first call, reconnects by itself, and reads the files of `tls` again when they are
    replaced. Every call ends within its `timeout` in seconds, repetitions included (see `Retries`). Promised:
    a write is done at most once, however often it is repeated inside. Not promised: that it was not done when
    it ends with UnavailableError or DeadlineExceededError; call it again with the same `idempotency_key`.

    Nothing is cached: each value that is fetched is an audit event of the tenant.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: ClientTls,
        tenant_id: str | UUID,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retries: Retries | None = None,
        server_name: str | None = None,
    ) -> None:
        """`target` is the secrets service, host:port. `api_key` is needed for writes only. `server_name` is
        the name in the service's certificate, if it is not the target's.

        A newline at the end of `api_key` is not sent: it is that of the file the key was read from. Raises
        RequestNotValidError for a text that cannot be sent.
        """
        texts.check_words(target=target, server_name=server_name)
        texts.check({"tenant_id": tenant_id})
        self._asker = Asker(str(tenant_id), texts.api_key(api_key))
        self._timeout = timeout
        self._retries = retries or Retries()

        def open_channel(identity: Identity) -> grpc.aio.Channel:
            return grpc.aio.secure_channel(
                target, credentials(identity), options=options(server_name)
            )

        self._lines: Lines[grpc.aio.Channel] = Lines(tls, open_channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that are under way end as they do."""
        await _close(self._lines.close())

    async def get(
        self,
        secret: str | UUID,
        environment: str | None = None,
        value_version: int | None = None,
        *,
        by_name: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline of gRPC
    ) -> Secret:
        """The value of a secret by name or id; a text in the form of a UUID is an id unless `by_name`.

        By default of the secret's base environment, the current version. Raises SecretNotFoundError,
        SecretDeletedError, SecretExpiredError, NotGrantedError, KeyRevokedError, TenantSealedError...
        """
        ask = self._asker.access(Wanted(secret, environment, value_version, by_name=by_name))
        return messages.secret(await self._call(ask, timeout))

    async def get_many(
        self,
        secrets: Sequence[Which],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> list[Secret | CofferClientError]:
        """The values of many, or why not, in the order asked; of all of them within the timeout.

        One that does not fit into an answer with the others is asked for alone. Errors of single items are
        not repeated, whether or not they may pass. Raises what concerns all of them.
        """
        attempts = self._attempts(timeout)
        found: list[Secret | CofferClientError] = []
        for ask in self._asker.batches(secrets):
            reply = await self._try(ask, attempts)
            found += messages.results(reply, ask.request_id)
        for at, one in enumerate(found):
            if isinstance(one, TooLargeError):
                found[at] = await self._alone(as_wanted(secrets[at]), attempts)
        return found

    async def create_string(
        self,
        name: str,
        value: str,
        *,
        description: str | None = None,
        environment: str | None = None,
        collection_id: str | None = None,
        expires_at: datetime | None = None,
        strict_expiry_enforcement: bool = False,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> StoredValue:
        """Store a new string secret. Raises ConflictError, RequestNotValidError, PlanLimitError..."""
        ask = self._asker.create_string(
            name,
            value,
            expires_at,
            idempotency_key,
            description=description,
            environment=environment,
            collection_id=collection_id,
            strict_expiry_enforcement=strict_expiry_enforcement,
        )
        return messages.created(await self._call(ask, timeout))

    async def put_value(
        self,
        secret_id: str | UUID,
        value: str,
        *,
        environment: str | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> StoredValue:
        """Give a string secret a new value; with `if_match` only over that version.

        Raises SecretNotFoundError, VersionMismatchError, RequestNotValidError...
        """
        ask = self._asker.put_value(
            secret_id,
            value,
            environment=environment,
            if_match=if_match,
            idempotency_key=idempotency_key,
        )
        return messages.stored(await self._call(ask, timeout))

    def _attempts(self, timeout: float | None) -> Attempts:
        return Attempts(self._retries, self._timeout if timeout is None else timeout)

    async def _call(self, ask: Ask, timeout: float | None) -> Any:  # noqa: ASYNC109 - as above
        return await self._try(ask, self._attempts(timeout))

    async def _alone(self, wanted: Wanted, attempts: Attempts) -> Secret | CofferClientError:
        try:
            return messages.secret(await self._try(self._asker.access(wanted), attempts))
        except CofferClientError as error:
            return error

    async def _try(self, ask: Ask, attempts: Attempts) -> Any:
        while True:
            try:
                return await self._once(ask, attempts.left)
            except CofferClientError as error:
                pause = attempts.pause_after(error)
            await asyncio.sleep(pause)

    async def _once(self, ask: Ask, seconds: float) -> Any:
        line, unused = self._lines.take()
        try:
            await _close(unused)
            method = getattr(line.stub, ask.rpc)
            return await method(ask.request, metadata=ask.metadata, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise messages.error_of(error, ask.request_id) from None
        except grpc.aio.InternalError:  # how it says that it will not send this
            raise messages.not_sendable(ask.request_id) from None
        finally:
            await _close(self._lines.give_back(line))


async def _close(channels: Sequence[grpc.aio.Channel]) -> None:
    for channel in channels:
        await channel.close()
