"""Exit codes of the command `coffer`; scripts may rely on them."""

from enum import IntEnum


class Exit(IntEnum):
    """What the process exit status means. 2 is Typer's own code for a wrong command line."""

    OK = 0
    FAILED = 1
    """The command was understood and did not succeed; also when the service goes on answering with a status
    above 499: the tenant is sealed, the service is busy or failing."""
    USAGE = 2
    """Unknown option, missing argument, value out of range."""
    UNREACHABLE = 3
    """No running stack was found where the command looked, or a setting names none that may be used."""
    REFUSED = 4
    """The server answered and refused (authentication, role, validation, state)."""
    ALREADY_RUNNING = 5
    """Another supervisor holds this data directory."""
    NOT_STARTED = 6
    """The stack could not be started: a child died, a port is taken, a folder is not passable."""
    INTERRUPTED = 130
    """A person or a supervisor ended it before it was done (128 + SIGINT, as shells have it)."""
