"""What is wrong with a request, collected, and the refusal that carries it to the service.

The gateway does not authenticate, and a caller without a credential must learn that first. So a request
that cannot be read is still sent, empty, with the refusal as metadata; the service's interceptor answers
it once the caller is known and allowed to call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import ValidationError
from services.common.rpc.status import to_status

if TYPE_CHECKING:
    from services.common.errors import CofferError

REFUSAL_KEY: Final = "coffer-refusal-bin"
"""Metadata key of a serialized `google.rpc.Status` that the service answers with, in its turn."""

DOMAIN: Final = "coffer.gateway"
MAX_FAULT_BYTES: Final = 2_048
"""Bytes of paths and sentences that one refusal reports; metadata as a whole is bounded to 8 KiB."""


class Faults:
    """Faults by JSON path, in the order found. What exceeds `MAX_FAULT_BYTES` is counted, not kept."""

    __slots__ = ("_bytes", "_count", "_found")

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self._bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, path: str, what: str) -> None:
        """Note that `what` is wrong at `path`. Neither may hold a value that was sent."""
        self._count += 1
        self._bytes += len(path.encode("utf-8")) + len(what)
        if self._bytes <= MAX_FAULT_BYTES or not self._found:
            self._found.setdefault(path, []).append(what)

    def error(self) -> ValidationError:
        """All faults as one error."""
        if self._count == 1:
            ((path, (what,)),) = self._found.items()
            return ValidationError.of(path, what)
        return ValidationError(f"The request has {self._count} faults.", fields=self._found)


def refusal(error: CofferError) -> tuple[str, bytes]:
    """The metadata entry that makes the service answer `error`."""
    return REFUSAL_KEY, to_status(error, DOMAIN).SerializeToString()
