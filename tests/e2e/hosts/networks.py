"""A network of one's own for a host, joined to ours by a pair of virtual interfaces. Linux, root only.

The network is that of a process that does nothing; when it ends, the kernel takes network and cable away,
so nothing is left behind however a test ends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


TOOLS = ("ip", "nsenter", "unshare")


@dataclass(frozen=True, slots=True)
class Network:
    """`ours` is our address on the cable, `theirs` the host's; `cable` is our end."""

    ours: str
    theirs: str
    cable: str
    keeper: int

    @property
    def within(self) -> tuple[str, ...]:
        """The command that runs another in this network."""
        return ("nsenter", f"--net=/proc/{self.keeper}/ns/net")

    def cut(self) -> None:
        """From now on nothing that either end sends arrives, and nobody is told."""
        _run("ip", "link", "set", self.cable, "down")

    def mend(self) -> None:
        """Undo `cut`."""
        _run("ip", "link", "set", self.cable, "up")


def why_not() -> str | None:
    """Why there can be no network of one's own here, if there can be none."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} on this machine"
    if os.geteuid() != 0:
        return "only root may lay a cable between two networks"
    name = f"cf{secrets.token_hex(4)}"
    tried = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"no virtual interfaces: {tried.stderr.strip()}"


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network that is joined to ours, gone at the end."""
    keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        yield _join(keeper.pid)
    finally:
        keeper.kill()
        keeper.wait()


def _join(keeper: int) -> Network:
    eventually(lambda: _net(keeper) != _net(os.getpid()), "the network is there")
    # A random pair of addresses: several test processes lay cables at once.
    block = f"10.{secrets.randbelow(56) + 200}.{secrets.randbelow(256)}"
    name = f"cf{secrets.token_hex(4)}"
    made = Network(f"{block}.1", f"{block}.2", name, keeper)
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(keeper))
    _run("ip", "address", "add", f"{made.ours}/30", "dev", name)
    _run("ip", "link", "set", name, "up")
    for words in (
        ("address", "add", f"{made.theirs}/30", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("link", "set", "lo", "up"),
    ):
        _run(*made.within, "ip", *words)
    return made


def _net(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")  # noqa: PTH115 - what it names is no path


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
