"""The supervisor's own log: one JSON line for everything that happened to a child."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cli.local.files import PRIVATE_FILE
from cli.local.supervisor import Event


class Journal:
    """Appends events to a file and passes them on."""

    def __init__(self, file: Path, listener: Callable[[Event], None] | None) -> None:
        """`listener` also gets each event, on the supervisor's thread."""
        self._file = file
        self._listener = listener

    def __call__(self, event: Event) -> None:
        """Write the event, then hand it on."""
        line = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "service": "supervisor",
            "child": event.child,
            "event": event.what,
            "pid": event.pid,
            "detail": event.detail,
        }
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        with os.fdopen(descriptor, "w") as log:
            log.write(json.dumps(line) + "\n")
        if self._listener is not None:
            self._listener(event)
