"""`python -P -m tests.faults.run <folder> <module>`: the real service, with faults planted from outside.

The product knows nothing of it: the functions named in `points` are replaced on their modules by ones that
look, on every pass, whether a fault is armed there, and else do what they always did.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import importlib
import inspect
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import acts
from tests.faults.plan import Fault, FaultFolder
from tests.faults.points import POINTS, Point

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD_LOOK_SECONDS = 0.005


def plant(folder: FaultFolder, point: Point) -> None:
    """Put the look for a fault before or after the function. Raises AttributeError for one that is gone."""
    module, _, path = point.function.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, _watched(folder, point, getattr(owner, name)))


def _watched(folder: FaultFolder, point: Point, function: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            if point.when == "before":
                _pass(folder, point, args)
            result = function(*args, **kwargs)
            if point.when == "after":
                _pass(folder, point, args)
            return result

        return plain

    @functools.wraps(function)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        if point.when == "before" and _pass(folder, point, args):
            await _hold(folder, point)
        result = await function(*args, **kwargs)
        if point.when == "after" and _pass(folder, point, args):
            await _hold(folder, point)
        return result

    return watched


def _pass(folder: FaultFolder, point: Point, args: tuple[Any, ...]) -> bool:
    """One pass; True where the caller shall hold."""
    armed = folder.peek(point.name)
    if armed is None or not _concerned(armed, args):
        return False
    fault = folder.take(point.name)
    if fault is None:
        return False
    folder.mark_fired(point.name, os.getpid())
    print(f"fault {fault.act} at {point.name}", file=sys.stderr, flush=True)
    return _do(fault, args)


def _do(fault: Fault, args: tuple[Any, ...]) -> bool:
    act, _, child = fault.act.partition(":")
    match act:
        case "kill":
            acts.kill(child)
        case "kill-backend":
            acts.kill_backend(args)
        case "stop":
            acts.stop_self()
        case "raise":
            raise acts.PlantedError(fault.point)
        case "hold":
            return True
        case "note":
            return False
        case _:
            raise ValueError(act)
    return False


async def _hold(folder: FaultFolder, point: Point) -> None:
    while not folder.is_free(point.name):  # noqa: ASYNC110 - a file, not an event
        await asyncio.sleep(HOLD_LOOK_SECONDS)


def _concerned(fault: Fault, args: tuple[Any, ...]) -> bool:
    return not fault.needle or _holds(args, bytes.fromhex(fault.needle))


def _holds(value: Any, needle: bytes) -> bool:
    if isinstance(value, bytes):
        return needle in value
    return isinstance(value, list | tuple) and any(_holds(one, needle) for one in value)


def _skew(seconds: float) -> None:
    """Let `datetime` be wrong by so much, for all that is imported from now on.

    `time.time` stays right: gRPC makes deadlines from it, for a core that reads the clock itself.
    """
    if not seconds:
        return
    true = dt.datetime

    class Skewed(true):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return true.now(tz) + dt.timedelta(seconds=seconds)

    Skewed.__module__, Skewed.__qualname__ = true.__module__, true.__qualname__
    dt.datetime = Skewed  # type: ignore[misc]


def main() -> None:
    folder, module = FaultFolder(Path(sys.argv[1])), sys.argv[2]
    service = module.rpartition(".")[2]
    _skew(folder.skew_of(service))
    for point in POINTS:
        if point.service == service:
            plant(folder, point)
    folder.listens(service, os.environ[f"COFFER_{service.upper()}_LISTEN"])
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
