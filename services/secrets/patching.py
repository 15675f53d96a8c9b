"""Which members of a thing a PATCH changes. Pure.

A member that is named and null is cleared, which the mask tells from one that was not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.secrets.values import Faults


def named(mask: Sequence[str], patchable: Sequence[str], faults: Faults) -> list[str]:
    """Those of `patchable` that `mask` names, in that order. A fault for any other, and for none."""
    for path in mask:
        if path not in patchable:
            faults.add(path, "Cannot be changed.")
    if not mask:
        faults.add("body", f"At least one of {', '.join(patchable)} is required.")
    return [member for member in patchable if member in mask]


def must_not_be_null(field: str, faults: Faults) -> None:
    """A fault for a member that cannot be cleared."""
    faults.add(field, "Must not be null.")
