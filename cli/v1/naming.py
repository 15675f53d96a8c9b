"""From what a person calls a thing to its id. Ids are taken as they are; names are looked up."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from cli.api import ApiError
from cli.v1.calls import COLLECTIONS, ENVIRONMENTS, SECRETS
from cli.v1.listing import all_pages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.api import Api

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""Ids are shown in this form only; 32 bare hexadecimal digits are a name somebody chose."""


def secret_id(api: Api, which: str) -> str:
    """Of a secret given by id or name. Raises ApiError `not_found`, UnreachableError."""
    if _ID.fullmatch(which):
        return which.lower()
    name = stored_name(which)
    # Sorted by code point: past the name there is nothing to look for.
    rows = takewhile(lambda row: row["name"] <= name, all_pages(api, SECRETS, search=name))
    return _only(rows, name, "secret")


def deleted_secret_id(api: Api, which: str) -> str:
    """Of a secret that was deleted, given by id or by the name it had.

    Several of one name may have been deleted: then ApiError `ambiguous` tells their ids, newest first.
    Raises ApiError `not_found` too, UnreachableError.
    """
    if _ID.fullmatch(which):
        return which.lower()
    name = stored_name(which)
    rows = all_pages(api, SECRETS, search=name, deleted=True)
    found = sorted(
        (row for row in rows if row["name"] == name),
        key=lambda row: row["deleted_at"],
        reverse=True,
    )
    if len(found) > 1:
        told = "".join(f"\n  {row['id']} deleted {row['deleted_at']}" for row in found)
        message = f"{len(found)} deleted secrets were called {name}: say which by its id{told}"
        raise ApiError(409, {"type": "ambiguous", "message": message})
    return _only(found, name, "deleted secret")


def collection_id(api: Api, which: str) -> str:
    """Of a collection given by id or name. Raises ApiError `not_found`, UnreachableError."""
    if _ID.fullmatch(which):
        return which.lower()
    return _only(all_pages(api, COLLECTIONS), which, "collection")


def environment_id(api: Api, which: str) -> str:
    """Of an environment given by id or name. Raises ApiError `not_found`, UnreachableError."""
    if _ID.fullmatch(which):
        return which.lower()
    return _only(api.get(ENVIRONMENTS)["data"], which, "environment")


def stored_name(name: str) -> str:
    """How the service writes a secret's name: runs of blanks are one `_`."""
    return "_".join(name.split())


def _only(rows: Iterable[dict[str, Any]], name: str, kind: str) -> str:
    for row in rows:
        if row["name"] == name:
            return str(row["id"])
    raise ApiError(404, {"type": "not_found", "message": f"there is no {kind} {name}"})
