"""Lists: a page for people, all of it when asked."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.api import Api

_MOST: Final = 100
"""Rows of a page or a piece, as many as the API gives."""

Page = Annotated[int, typer.Option(min=1, help="The page, from 1.")]
PerPage = Annotated[int, typer.Option(min=1, max=_MOST, help="Rows on a page.")]


class Order(StrEnum):
    """In which direction a list is sorted."""

    ASC = "asc"
    DESC = "desc"


Asked = str | int | bool | None


def all_pages(api: Api, path: str, **query: Asked) -> Iterator[dict[str, Any]]:
    """Every row, page by page. What is made or deleted meanwhile can move a row to another page.

    Raises ApiError, UnreachableError.
    """
    page = 1
    while True:
        found = api.get(path, page=page, per_page=_MOST, **query)
        yield from found["data"]
        if page >= found["meta"]["total_pages"]:
            return
        page += 1


def all_pieces(api: Api, path: str, **query: Asked) -> Iterator[dict[str, Any]]:
    """Every row once, whatever is made or deleted meanwhile. Raises ApiError, UnreachableError."""
    cursor: str | None = ""
    while cursor is not None:
        found = api.get(path, cursor=cursor, limit=_MOST, **query)
        yield from found["data"]
        cursor = found["meta"]["next_cursor"]


def show_rest(meta: dict[str, Any], how: str) -> None:
    """Tell a person, on standard error, that there is more than this page."""
    if meta["total_pages"] > 1:
        place = f"page {meta['page']} of {meta['total_pages']}, {meta['total']} in all"
        typer.echo(f"{place}; {how}", err=True)
