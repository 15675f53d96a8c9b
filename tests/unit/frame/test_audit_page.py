"""docs/audit.md and the code name the same actions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = (*(ROOT / "services").rglob("*.py"), *(ROOT / "cli").rglob("*.py"))
IN_SQL = re.compile(r"'action', '([a-z_.]+)'")
MAKERS = ("Event", "_key_event", "_append")
ACTION = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def documented() -> set[str]:
    """The actions of the table."""
    page = (ROOT / "docs" / "audit.md").read_text("utf-8")
    _, _, table = page.partition("\n## Actions\n")
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return set(re.findall(r"`([a-z_.]+)`", " ".join(rows)))


def in_code() -> set[str]:
    """What calls that make an event are given as an action, as far as it is written out there."""
    found: set[str] = set()
    for file in CODE:
        text = file.read_text("utf-8")
        found |= set(IN_SQL.findall(text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
                found |= {
                    inner.value
                    for argument in node.args
                    for inner in ast.walk(argument)
                    if isinstance(inner, ast.Constant)
                    and isinstance(inner.value, str)
                    and ACTION.fullmatch(inner.value)
                }
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_action_in_the_code_is_on_the_page() -> None:
    found = in_code()
    assert len(found) >= 15, "the calls that make events are not found any more"
    assert found <= documented()


def test_every_action_on_the_page_is_in_the_code() -> None:
    """Written out as one text, or as what follows the dot of one that is put together."""
    text = "".join(file.read_text("utf-8") for file in CODE)
    for action in documented():
        thing, _, done = action.rpartition(".")
        assert (
            f'"{action}"' in text
            or f"'{action}'" in text
            or (f'f"{thing}.{{' in text and f'"{done}"' in text)
        ), action
