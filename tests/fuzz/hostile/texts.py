"""Texts of no type in particular."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from tests.fuzz.case import Case
from tests.fuzz.hostile.building import HONEST, b64

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TEXT: Final = 700_000
"""Characters: a little less than what is accepted."""


def cases() -> list[tuple[str, Case]]:
    """Of no type in particular."""
    return [
        (f"{kind}: {what}", Case(kind, text, None, "x"))
        for what, text in _texts()
        for kind in ("pem", "p7b")
    ]


def _texts() -> Iterator[tuple[str, str]]:
    yield "300,000 empty lines", "\n" * 300_000 + HONEST.pem + "\n" * 300_000
    yield "20,000 empty blocks", "-----BEGIN A-----\n-----END A-----\n" * 20_000
    yield (
        "10,000 certificates that are none",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" * 10_000,
    )
    yield "a line of dashes", "-" * MOST_TEXT
    yield "a label without end", "-----BEGIN " + "A-" * 340_000
    yield "markers on one line", "-----BEGIN A-----\\n" * 36_000
    yield "spelled line breaks before a marker", "\\n" * 300_000 + "\n-----BEGIN CERTIFICATE-----"
    yield "a block on one line without end", "-----BEGIN A-----" + "A " * 340_000
    yield "many blocks on one line", "-----BEGIN A----- AA== -----END A----- " * 17_000
    yield "half a marker on each line", "----- BEGIN\n" * 50_000
    yield "almost a marker on each line", "-- BEGIN CERTIFICATE --\n" * 28_000
    yield "base64 with a blank after each character", " ".join(b64(b"\x30\x80" * 120_000))
    yield "base64 with a line break after each character", "\r\n".join(b64(b"\x30\x80" * 80_000))
    yield "blanks", "A" + " " * MOST_TEXT + "A"
    yield "base64 that ends in blanks and a mark", "A" * 340_000 + " " * 340_000 + "!"
    yield "an equals sign on each line", "=\n" * 340_000
    yield "base64 in base64 in base64", _wrapped(b"x" * 100_000, 6)
    yield "data: in data:", "data:;base64," * 50_000
    yield "data: without base64, in data:", "data:," * 100_000 + "x"
    yield "data: without end", "data:" + "a;" * 340_000
    yield "data: with percents", "data:," + "%30%80" * 110_000
    yield "data: in base64, in itself", _data_in_data(20)
    yield "brackets", "[" * MOST_TEXT
    yield "braces", '{"a":' * 140_000
    yield "angles", "<a>" * 230_000
    yield "text in UTF-16 with a mark", "\ufeff" + "\0".join("-----BEGIN CERTIFICATE-----" * 12_000)
    yield "marks", "\ufeff" * 230_000
    yield (
        "headers",
        "-----BEGIN CERTIFICATE-----\n"
        + "Proc-Type: 4,ENCRYPTED\n" * 30_000
        + "-----END CERTIFICATE-----\n",
    )
    yield (
        "a header without end",
        "-----BEGIN CERTIFICATE-----\n" + "a" * 600_000 + "\n-----END CERTIFICATE-----\n",
    )
    yield "the name of a file", "/" + "a " * 340_000 + ".pem"
    yield "quotes", json.dumps("\n" * 300_000)


def _wrapped(data: bytes, times: int) -> str:
    for _ in range(times):
        data = base64.b64encode(data)
    return data.decode()


def _data_in_data(times: int) -> str:
    text = "data:;base64,"
    for _ in range(times):
        text = "data:;base64," + b64(text.encode())
    return text
