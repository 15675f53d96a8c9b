"""Running boto3's synchronous calls in threads, and turning whatever they raise into an AwsFault."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from services.common.errors import UnavailableError
from services.kms.providers.aws.errors import NO_IDENTITY, AwsFault, reason_of
from services.kms.providers.aws.identity import NoIdentityError
from services.kms.providers.aws.key_stores import mention_of
from services.kms.providers.lanes import THREADS, Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from services.kms.ports import Meter
    from services.kms.providers.aws.errors import Action

PROVIDER: Final = "aws"

T = TypeVar("T")


class AwsFailedError(Exception):
    """A call failed. Holds codes only: no text of AWS or the SDK gets further."""

    def __init__(self, action: Action, fault: AwsFault) -> None:
        super().__init__(fault.code)
        self.action = action
        self.fault = fault


@dataclass(slots=True)
class Step:
    """One call on its way. `asked` from when on AWS may have heard of it."""

    action: Action
    asked: bool = False


class Threads:
    """A bounded pool that tenants share fairly. Construction starts no thread."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lanes = Lanes()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")

    async def call(self, tenant_id: UUID, work: Callable[[], T], deadline: float, step: Step) -> T:
        """The result of `work`, begun before `deadline` (of the loop's clock) or never.

        Raises AwsFailedError for anything that it raises, UnavailableError when it was not begun.
        """
        loop = asyncio.get_running_loop()
        with self._counted(step.action):
            async with contextlib.AsyncExitStack() as held:
                try:
                    async with asyncio.timeout_at(deadline):
                        await held.enter_async_context(self._lanes.take(tenant_id))
                except TimeoutError:
                    raise not_asked() from None
                step.asked = True
                until = time.monotonic() + deadline - loop.time()
                try:
                    return await loop.run_in_executor(self._pool, _in_time(work, until))
                except UnavailableError:
                    raise
                except Exception as error:  # noqa: BLE001 - nothing foreign leaves an adapter
                    fault = _fault(error, step.action)
                # Raised out here, so that the SDK's exception is not even its context.
                raise AwsFailedError(step.action, fault)

    @contextlib.contextmanager
    def _counted(self, action: Action) -> Iterator[None]:
        outcome = "cancelled"
        try:
            yield
            outcome = "ok"
        except AwsFailedError as error:
            outcome = reason_of(error.fault)
            raise
        except UnavailableError:
            outcome = "not_asked"
            raise
        finally:
            self._meter.count(PROVIDER, action, outcome)

    def close(self) -> None:
        """Begin no more calls; those under way end by their own time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def not_asked() -> UnavailableError:
    """Our own queue was too long. No word about the customer's key, so nothing is sealed for it."""
    return UnavailableError("Too many calls to AWS are waiting; try again in a moment.")


def _in_time(work: Callable[[], T], until: float) -> Callable[[], T]:
    def begin() -> T:
        if time.monotonic() >= until:
            raise not_asked()
        return work()

    return begin


def _fault(error: Exception, action: Action) -> AwsFault:
    if isinstance(error, NoIdentityError):
        return AwsFault(NO_IDENTITY)
    if isinstance(error, ClientError):
        if error.operation_name != action.operation:
            return AwsFault(NO_IDENTITY)  # nobody but us asked for that: a login of the SDK's own
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        told = error.response.get("Error", {})
        code = str(told.get("Code", ""))
        return AwsFault(code, int(status), mention_of(code, told.get("Message")))
    if isinstance(error, ParamValidationError):
        return AwsFault("ValidationException", 400)
    # No answer, or one that is no answer: time-outs, refused connections, TLS, garbage.
    return AwsFault("BotoCoreError" if isinstance(error, BotoCoreError) else "", 0)
