"""Pages by number, as every list of the wire contract has them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.secrets.values import Faults

DEFAULT_PER_PAGE: Final = 20
MAX_PER_PAGE: Final = 100
MAX_PAGE: Final = 1_000_000_000
"""So that the offset of a page stays far below what a 64-bit number holds."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for: `page` from 1, `per_page` rows on it."""

    page: int
    per_page: int

    @property
    def offset(self) -> int:
        """How many rows come before the page."""
        return (self.page - 1) * self.per_page


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where a page stands in the whole, as `meta` shows it. `total_pages` is 0 for an empty list."""

    total: int
    page: int
    per_page: int
    total_pages: int


def paging(page: int | None, per_page: int | None, faults: Faults) -> Paging:
    """The page asked for, else the first of 20 rows. Use it only when there are no faults."""
    number = 1 if page is None else page
    size = DEFAULT_PER_PAGE if per_page is None else per_page
    if not 1 <= number <= MAX_PAGE:
        faults.add("page", "Must be 1 or more.")
    if not 1 <= size <= MAX_PER_PAGE:
        faults.add("per_page", f"Must be 1 to {MAX_PER_PAGE}.")
    return Paging(number, size)


def page_of(total: int, asked: Paging) -> Numbers:
    """The numbers of a page of a list that has `total` rows in all."""
    return Numbers(total, asked.page, asked.per_page, -(-total // asked.per_page))
