"""What breaks when a connection outlives its certificate, or is closed under a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import grpc
import pytest

from coffer_client import ClientClosedError, ClientTls, ClientTlsError
from coffer_client.lines import Lines
from coffer_client.tls import Identity

if TYPE_CHECKING:
    from coffer_client.tls import Stamp


class Files:
    """Stands for three files: `number` of the pair in them, None while they are half replaced."""

    def __init__(self) -> None:
        self.number = 1
        self.whole = True

    def stamp(self) -> Stamp:
        return ((self.number, int(self.whole), 0),)

    def read(self) -> Identity:
        if not self.whole:
            raise ClientTlsError("half")
        return Identity(b"", b"", b"", self.stamp())


def _lines(files: Files) -> Lines[grpc.Channel]:
    return Lines(
        cast("ClientTls", files), lambda _: grpc.insecure_channel("unix:/nonexistent/coffer")
    )


def _close(channels: list[grpc.Channel]) -> None:
    for channel in channels:
        channel.close()


def test_a_line_is_kept_until_the_files_change() -> None:
    files = Files()
    lines = _lines(files)
    first, _ = lines.take()
    again, unused = lines.take()
    assert again is first
    assert unused == []
    files.number = 2
    second, unused = lines.take()
    assert second is not first
    assert unused == []  # calls are on it
    assert lines.give_back(first) == []
    assert lines.give_back(again) == [first.channel]
    _close([first.channel, *lines.give_back(second), *lines.close()])


def test_an_unused_line_is_closed_when_it_is_replaced() -> None:
    files = Files()
    lines = _lines(files)
    first, _ = lines.take()
    lines.give_back(first)
    files.number = 2
    second, unused = lines.take()
    assert unused == [first.channel]
    assert lines.close() == []
    _close([first.channel, *lines.give_back(second)])
    with pytest.raises(ClientClosedError):
        lines.take()


def test_half_replaced_files_do_not_end_what_works() -> None:
    files = Files()
    lines = _lines(files)
    first, _ = lines.take()
    files.whole, files.number = False, 2
    same, _ = lines.take()
    assert same is first
    _close(lines.close() + lines.give_back(first) + lines.give_back(same))
    fresh = _lines(files)
    with pytest.raises(ClientTlsError):
        fresh.take()
