"""The same work on many things, a few at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cli.demo.display import Meter
    from cli.demo.steps import Stop

LANES = 8

T = TypeVar("T")


def each(things: Iterable[T], work: Callable[[T], None], stop: Stop, meter: Meter) -> None:
    """Do `work` on each thing. Raises what the first failing one raised; the others are dropped.

    InterruptedByPersonError when the end is asked for meanwhile; what is under way is waited for.
    """

    def one(thing: T) -> None:
        stop.check()
        work(thing)

    with ThreadPoolExecutor(LANES, thread_name_prefix="demo") as pool:
        futures: list[Future[None]] = [pool.submit(one, thing) for thing in things]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                meter.show(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
