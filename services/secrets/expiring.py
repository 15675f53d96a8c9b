"""When a value has expired, and when it is withheld for that. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def is_past(moment: datetime | None, now: datetime) -> bool:
    """Whether there is such a moment and it has come."""
    return moment is not None and moment <= now


def is_withheld(
    *,
    strict: bool,
    expires_at: datetime | None,
    certificate_expires_at: datetime | None,
    now: datetime,
) -> bool:
    """Whether enforced expiry refuses the value: from the earlier of the two moments on.

    A later `expires_at` lengthens no certificate's life; an earlier one shortens it.
    """
    return strict and (is_past(expires_at, now) or is_past(certificate_expires_at, now))
