"""Every plan that PostgreSQL makes for the services of a stack, of statements inside of functions too.

Nobody has to say which statements there are: the server itself writes each plan into its log, when it makes
it, which for a prepared statement is once a connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg

from tests.e2e.plans.node_trees import Node, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fixtures.stack import RunningStack

ROLES: Final = (
    "coffer_kms",
    "coffer_secrets",
    "coffer_secrets_purge",
    "coffer_rewrap",
    "coffer_rewrap_dispatch",
)
LISTENING: Final = {
    "debug_print_plan": "on",
    "debug_pretty_print": "off",
    "log_error_verbosity": "default",  # the plan is the detail of its message
    "log_min_error_statement": "log",
}
_ENTRY = re.compile(r"^(\w+) (LOG|DETAIL|CONTEXT|STATEMENT|[A-Z]+):  ")
_PREFIX = "'%u '"


@dataclass(frozen=True, slots=True)
class Heard:
    """A plan. `statement` is what the service sent, `within` the function that it is inside of, if any."""

    role: str
    statement: str
    within: str
    plan: Node

    def __str__(self) -> str:
        return f"{self.role}: {self.statement} {self.within}"


def listen(stack: RunningStack) -> None:
    """From now on; every connection of the services is a new one, so that nothing has been planned yet.

    Not taken back: the stack is one's own.
    """
    _alone(stack, f"alter system set log_line_prefix = {_PREFIX}")
    for role in ROLES:
        for name, value in LISTENING.items():
            _alone(stack, f"alter role {role} set {name} = '{value}'")
    stack.rows("select pg_reload_conf()")
    stack.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = any(%s)",
        (list(ROLES),),
    )


def heard(stack: RunningStack, roles: Sequence[str] = ROLES) -> list[Heard]:
    """What was planned for them since."""
    found: list[Heard] = []
    text = stack.stack.log_file("postgres").read_text(errors="replace")
    for entry in re.split(r"(?m)^(?=\w+ LOG:  )", text):
        role, parts = _parts(entry)
        if role in roles and parts.get("LOG", "").strip() == "plan:":
            plan = parse(parts["DETAIL"])
            if plan[""] == "PLANNEDSTMT":
                statement = " ".join(parts.get("STATEMENT", "").split())
                found.append(Heard(role, statement, parts.get("CONTEXT", "").strip(), plan))
    return found


def _alone(stack: RunningStack, statement: str) -> None:
    """What is refused inside of a transaction, or answers with no rows."""
    with psycopg.connect(stack.stack.admin_dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def _parts(entry: str) -> tuple[str, dict[str, str]]:
    role, kind = "", ""
    parts: dict[str, str] = {}
    for line in entry.splitlines():
        match = _ENTRY.match(line)
        if match:
            role, kind = match[1], match[2]
            parts[kind] = line[match.end() :] + "\n"
        elif kind:
            parts[kind] += line + "\n"
    return role, parts
