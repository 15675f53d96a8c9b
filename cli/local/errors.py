"""What can keep a local stack from running. Messages are for the person at the terminal."""

from pathlib import Path


class LocalError(Exception):
    """Base of every expected failure of the supervisor. Never carries a secret."""


class AlreadyRunningError(LocalError):
    """A supervisor holds the data directory already."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        """`pid` is the holder's, None when it has not written it yet."""
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"{directory} is in use: coffer is already running there as {holder}")
        self.pid = pid


class DataDirectoryError(LocalError):
    """The data directory cannot be used: not ours, not complete, not permitted."""


class NotPassableError(LocalError):
    """An unprivileged account cannot reach a path because of one of its parents."""

    def __init__(self, path: Path, culprit: Path, account: str) -> None:
        """`culprit` is the first folder, from the root down, that stops `account`."""
        super().__init__(
            f"{culprit} cannot be passed through by the account {account!r}, which PostgreSQL has "
            f"to run as (it refuses root), so {path} cannot be used; "
            f"choose a --data-dir elsewhere or allow it with: chmod o+x {culprit}"
        )
        self.culprit = culprit


class PortTakenError(LocalError):
    """A port that was asked for by number belongs to somebody else."""

    def __init__(self, host: str, port: int, cause: str) -> None:
        """`cause` is the operating system's word for it."""
        super().__init__(f"port {port} on {host} cannot be used: {cause}")


class ChildFailedError(LocalError):
    """A child could not be brought to readiness."""

    def __init__(self, name: str, reason: str, log_file: Path, tail: str) -> None:
        """`tail` is the end of the child's own log."""
        shown = f"\n{tail}" if tail else ""
        super().__init__(f"{name} {reason}; its log is {log_file}{shown}")
        self.name = name


class StartCancelledError(LocalError):
    """A stop was asked for before the stack was ready."""

    def __init__(self) -> None:
        """Nothing to say beyond the fact."""
        super().__init__("stopped before the stack was ready")
