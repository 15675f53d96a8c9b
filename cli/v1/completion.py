"""What the shell offers after TAB: names, asked for at the API.

Silent in every trouble and quick: whoever presses TAB waits for the answer.

Names of collections may hold any printable text, and colleagues choose them. Shells evaluate what they are
offered (zsh's `_arguments`) or put it on the line as it is (bash, fish), and Typer's escaping stops neither
a backslash before its own nor `$(...)` there. So names that a shell could read anything into are not offered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpx
import typer  # noqa: TC002 - typer reads the annotations

from cli.api import Api, ApiError, UnreachableError
from cli.connection import Stack, StackNotFoundError
from cli.v1.calls import COLLECTIONS, ENVIRONMENTS, SECRETS

if TYPE_CHECKING:
    from cli.v1.listing import Asked

_ONE_SECOND: Final = httpx.Timeout(connect=0.3, pool=0.1, write=0.1, read=0.5)
_MOST: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
"""Every shell takes it for one word, and `coffer` for no option."""


def secrets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of secrets."""
    return _names(ctx, incomplete, SECRETS, search=incomplete or None, per_page=_MOST)


def deleted_secrets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of secrets that can be restored."""
    search = incomplete or None
    return _names(ctx, incomplete, SECRETS, search=search, per_page=_MOST, deleted=True)


def collections(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of collections."""
    return _names(ctx, incomplete, COLLECTIONS, per_page=_MOST)


def environments(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of environments."""
    return _names(ctx, incomplete, ENVIRONMENTS)


def _names(ctx: typer.Context, incomplete: str, path: str, **query: Asked) -> list[str]:
    try:
        stack = Stack.locate(ctx.params.get("data_dir"))
        with Api(stack.base_url(), stack.api_key(), timeout=_ONE_SECOND) as api:
            rows = api.get(path, **query)["data"]
            names = {str(row["name"]) for row in rows}
    except (
        StackNotFoundError,
        UnreachableError,
        ApiError,
        OSError,
        KeyError,
        TypeError,
        ValueError,
    ):
        return []
    return sorted(name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name))
