"""Plans as PostgreSQL writes them with `debug_print_plan`: nodes in braces, lists in parentheses.

Format: src/backend/nodes/outfuncs.c and read.c of PostgreSQL. Only what a look at tables needs is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = ""
"""The key of a node's own name."""
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}()]|(?:\\.|[^\s{}()"\\])+', re.DOTALL)
_WALKS: Final = ("INDEXSCAN", "INDEXONLYSCAN", "BITMAPINDEXSCAN")
_ALL_ROWS: Final = ("SEQSCAN", "SAMPLESCAN")
_NESTED: Final = "NESTLOOP"
"""The only join that walks: the services' roles have no other."""
_SORTS: Final = ("SORT", "INCREMENTALSORT")
_INDEX_VAR: Final = "-3"
"""Such a column is one of the index, not of the table."""
_UUID_EQUALS: Final = "2972"
"""pg_operator.dat; of an array of them, too."""

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """One place in a plan that reads a table. `index` is None for all its rows.

    `columns` are those of the index, from 1, that must equal a UUID; `bound` all that are asked for.
    `repeated`: it may be gone through more than once, by a join, in what it found or anew.
    `sifted`: of what it found, rows are kept that equal a UUID.
    """

    table: int
    index: int | None
    columns: frozenset[int]
    bound: frozenset[int]
    repeated: bool
    sifted: bool


def parse(text: str) -> Node:
    """The node that `text` is."""
    found, _ = _value(_TOKEN.findall(text), 0)
    assert isinstance(found, dict), text[:80]
    return found


def looks(plan: Node) -> Iterator[Look]:
    """Every look at a table in a PLANNEDSTMT."""
    tables = plan["rtable"]
    inner = {id(node) for node in nodes(plan) if node[NAME] == _NESTED
             for node in nodes(_field(node, "righttree"))}  # fmt: skip
    for node in nodes(plan):
        if node[NAME] in (*_WALKS, *_ALL_ROWS):
            relation = tables[int(_field(node, "scanrelid")) - 1]
            table, repeated = int(relation["relid"]), id(node) in inner
            sifted = any(_equal_uuids(_field(node, "qual")))
            if node[NAME] in _WALKS:
                asked = node["indexqual"]
                columns, bound = _columns(_equal_uuids(asked)), _columns(nodes(asked))
                yield Look(table, int(node["indexid"]), columns, bound, repeated, sifted)
            else:
                yield Look(table, None, frozenset(), frozenset(), repeated, sifted)


def sorted_rows(plan: Node) -> Iterator[float]:
    """How many rows each sort is expected to sort."""
    for node in nodes(plan):
        if node[NAME] in _SORTS:
            yield float(_field(node, "plan_rows"))


def nodes(value: object) -> Iterator[Node]:
    """Every node in a value, itself too."""
    if isinstance(value, dict):
        if NAME in value:
            yield value
        for member in value.values():
            yield from nodes(member)
    elif isinstance(value, list):
        for member in value:
            yield from nodes(member)


def _equal_uuids(conditions: object) -> Iterator[Node]:
    for node in nodes(conditions):
        if node.get("opno") == _UUID_EQUALS:
            yield from nodes(node["args"])


def _columns(found: Iterator[Node]) -> frozenset[int]:
    columns = (one for one in found if one[NAME] == "VAR" and one["varno"] == _INDEX_VAR)
    return frozenset(int(one["varattno"]) for one in columns)


def _field(node: Node, name: str) -> Any:
    """Fields of what a node is built on are written with its path before them (`scan.plan.plan_rows`)."""
    (found,) = [value for key, value in node.items() if key.rpartition(".")[2] == name]
    return found


def _value(tokens: list[str], at: int) -> tuple[Any, int]:
    if tokens[at] == "{":
        return _node(tokens, at + 1)
    if tokens[at] == "(":
        return _list(tokens, at + 1)
    return tokens[at], at + 1


def _list(tokens: list[str], at: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while tokens[at] != ")":
        value, at = _value(tokens, at)
        found.append(value)
    return found, at + 1


def _node(tokens: list[str], at: int) -> tuple[Node, int]:
    node: Node = {NAME: tokens[at]}
    at += 1
    field: list[Any] = []
    while tokens[at] != "}":
        if tokens[at].startswith(":"):
            name = tokens[at][1:]
            field, at = [], at + 1
            while tokens[at] != "}" and not tokens[at].startswith(":"):
                value, at = _value(tokens, at)
                field.append(value)
            node[name] = field[0] if len(field) == 1 else field
        else:
            _, at = _value(tokens, at)  # a node without named fields, such as a bare value
    return node, at + 1
