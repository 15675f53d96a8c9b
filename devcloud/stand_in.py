"""What running a stand-in means, whatever it has of listeners and files."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from devcloud.faults import Faults
    from devcloud.http import HttpServer

Address = tuple[str, int]
"""Host and port to listen on; port 0 takes any free one."""
ANY_PORT: Address = ("127.0.0.1", 0)


class StandIn(ABC):
    """One cloud on threads of this process: serves inside `with`, and says then how it is reached.

    `python -m devcloud` runs the same in a process of its own. Starting again after `stop` is not
    supported: make a new server on the same `Cloud`.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._running = contextlib.ExitStack()

    @abstractmethod
    def announcement(self) -> Mapping[str, Any]:
        """Its members of the ready file, secrets included; no two clouds share a name.

        Raises RuntimeError before `start`.
        """

    @abstractmethod
    def _open(self) -> None:
        """Bind and serve; what has to end goes on `_running` at once."""

    def start(self) -> None:
        """Bind and serve. Raises OSError when an address cannot be had."""
        try:
            self._open()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all connections and threads; what was answered is already stored."""
        self._faults.close()
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _serve(self, server: HttpServer) -> None:
        server.start()
        self._running.callback(server.stop)

    def _folder_or_own(self, folder: Path | None) -> Path:
        """The folder that was given, which outlives the server, or one that `stop` removes."""
        if folder is not None:
            return folder
        return Path(self._running.enter_context(tempfile.TemporaryDirectory(prefix="devcloud-")))
