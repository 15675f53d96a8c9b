"""The client for threads: the same as `client.CofferClient`, call by call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import grpc

from coffer_client import messages, texts
from coffer_client.asking import Asker, as_wanted
from coffer_client.client import DEFAULT_TIMEOUT_SECONDS
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


class SyncCofferClient:
    """As `CofferClient`, for threads; may be shared by them. Not usable after a fork."""

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
        """As `CofferClient`."""
        texts.check_words(target=target, server_name=server_name)
        texts.check({"tenant_id": tenant_id})
        self._asker = Asker(str(tenant_id), texts.api_key(api_key))
        self._timeout = timeout
        self._retries = retries or Retries()

        def open_channel(identity: Identity) -> grpc.Channel:
            return grpc.secure_channel(target, credentials(identity), options=options(server_name))

        self._lines: Lines[grpc.Channel] = Lines(tls, open_channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """As `CofferClient.close`."""
        _close(self._lines.close())

    def get(
        self,
        secret: str | UUID,
        environment: str | None = None,
        value_version: int | None = None,
        *,
        by_name: bool = False,
        timeout: float | None = None,
    ) -> Secret:
        """As `CofferClient.get`."""
        ask = self._asker.access(Wanted(secret, environment, value_version, by_name=by_name))
        return messages.secret(self._call(ask, timeout))

    def get_many(
        self, secrets: Sequence[Which], *, timeout: float | None = None
    ) -> list[Secret | CofferClientError]:
        """As `CofferClient.get_many`."""
        attempts = self._attempts(timeout)
        found: list[Secret | CofferClientError] = []
        for ask in self._asker.batches(secrets):
            found += messages.results(self._try(ask, attempts), ask.request_id)
        for at, one in enumerate(found):
            if isinstance(one, TooLargeError):
                found[at] = self._alone(as_wanted(secrets[at]), attempts)
        return found

    def create_string(
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
        timeout: float | None = None,
    ) -> StoredValue:
        """As `CofferClient.create_string`."""
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
        return messages.created(self._call(ask, timeout))

    def put_value(
        self,
        secret_id: str | UUID,
        value: str,
        *,
        environment: str | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> StoredValue:
        """As `CofferClient.put_value`."""
        ask = self._asker.put_value(
            secret_id,
            value,
            environment=environment,
            if_match=if_match,
            idempotency_key=idempotency_key,
        )
        return messages.stored(self._call(ask, timeout))

    def _attempts(self, timeout: float | None) -> Attempts:
        return Attempts(self._retries, self._timeout if timeout is None else timeout)

    def _call(self, ask: Ask, timeout: float | None) -> Any:
        return self._try(ask, self._attempts(timeout))

    def _alone(self, wanted: Wanted, attempts: Attempts) -> Secret | CofferClientError:
        try:
            return messages.secret(self._try(self._asker.access(wanted), attempts))
        except CofferClientError as error:
            return error

    def _try(self, ask: Ask, attempts: Attempts) -> Any:
        while True:
            try:
                return self._once(ask, attempts.left)
            except CofferClientError as error:
                pause = attempts.pause_after(error)
            time.sleep(pause)

    def _once(self, ask: Ask, seconds: float) -> Any:
        line, unused = self._lines.take()
        try:
            _close(unused)
            method = getattr(line.stub, ask.rpc)
            return method(ask.request, metadata=ask.metadata, timeout=seconds)
        except grpc.RpcError as error:
            raise messages.error_of(error, ask.request_id) from None
        finally:
            _close(self._lines.give_back(line))


def _close(channels: Sequence[grpc.Channel]) -> None:
    for channel in channels:
        channel.close()
