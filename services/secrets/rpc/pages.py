"""From the numbers of a page to its message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.type.v1 import page_pb2

if TYPE_CHECKING:
    from services.secrets.paging import Numbers


def page(numbers: Numbers) -> page_pb2.Page:
    """Where a page stands in the whole."""
    return page_pb2.Page(
        total=numbers.total,
        page=numbers.page,
        per_page=numbers.per_page,
        total_pages=numbers.total_pages,
    )
