"""A stack whose services run with faults planted, and the switch for them."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli.local.programs import product_parts
from cli.local.scratch import scratch_folder
from cli.local.services import GRPC_SERVICES
from tests.faults.plan import FaultFolder
from tests.fixtures.stack import RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cli.local.programs import Parts

SMALL_AND_IMPATIENT = {
    "COFFER_REWRAP_BATCH": "100",
    "COFFER_REWRAP_LANES": "4",
    "COFFER_REWRAP_DISPATCH_SECONDS": "0.3",
    "COFFER_REWRAP_HEARTBEAT_SECONDS": "0.2",
    "COFFER_REWRAP_STALLED_SECONDS": "1.5",
}
"""Many batches of few keys, and deaths that are noticed soon."""


@dataclass(frozen=True)
class FaultyStack:
    """A running stack in which anything may be made to fail at any step."""

    running: RunningStack
    faults: FaultFolder


@contextlib.contextmanager
def faulty_stack(
    settings: Mapping[str, str] | None = None,
    *,
    faults: FaultFolder | None = None,
    parts: Parts | None = None,
) -> Iterator[FaultyStack]:
    """A stack of one's own, gone at the end. `parts` default to the product's."""
    with contextlib.ExitStack() as undo:
        if faults is None:
            faults = FaultFolder(undo.enter_context(scratch_folder()))
        faults.prepare()
        parts = parts or product_parts()
        wrapper = (sys.executable, "-P", "-m", "tests.faults.run", str(faults.root))
        started = {name: (*wrapper, f"services.{name}") for name in GRPC_SERVICES}
        parts = replace(parts, argv={**parts.argv, **started})
        settings = SMALL_AND_IMPATIENT | dict(settings or {})
        yield FaultyStack(undo.enter_context(running_stack(settings, parts)), faults)
