"""What is told of a secret that is not there, or not in this tenant: always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common.errors import NotFoundError
from services.secrets.naming import parse_id

if TYPE_CHECKING:
    from uuid import UUID


def path_id(text: str) -> UUID:
    """The id in a path. Raises NotFoundError for what can be nobody's."""
    found = parse_id(text)
    if found is None:
        raise no_secret()
    return found


def no_secret() -> NotFoundError:
    """There is none, it is deleted, or it is another tenant's."""
    return NotFoundError("There is no such secret.")


def no_version() -> NotFoundError:
    """There never was one, or the environment's value was removed with its history."""
    return NotFoundError("The secret has no such version in this environment.")
