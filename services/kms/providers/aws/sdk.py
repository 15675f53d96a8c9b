"""Running boto3's synchronous calls in threads, and turning whatever they raise into an AwsFault."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from services.kms.providers.aws.errors import NO_IDENTITY, AwsFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.kms.providers.aws.errors import Action

THREADS: Final = 64
T = TypeVar("T")


class AwsFailedError(Exception):
    """A call failed. Holds codes only: no text of AWS or the SDK gets further."""

    def __init__(self, action: Action, fault: AwsFault) -> None:
        super().__init__(fault.code)
        self.action = action
        self.fault = fault


class Threads:
    """A bounded pool. Construction starts no thread."""

    def __init__(self, size: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="aws")

    async def call(self, action: Action, work: Callable[[], T]) -> T:
        """The result of `work`. Raises AwsFailedError for anything that it raises."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, work)
        except Exception as error:  # noqa: BLE001 - nothing foreign leaves an adapter
            raise AwsFailedError(action, _fault(error)) from None

    def close(self) -> None:
        """Begin no more calls; those under way end by their own time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _fault(error: Exception) -> AwsFault:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return AwsFault(str(error.response.get("Error", {}).get("Code", "")), int(status))
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return AwsFault(NO_IDENTITY, 0)
    if isinstance(error, ParamValidationError):
        return AwsFault("ValidationException", 400)
    # No answer, or one that is no answer: time-outs, refused connections, TLS, garbage.
    return AwsFault("BotoCoreError" if isinstance(error, BotoCoreError) else "", 0)
