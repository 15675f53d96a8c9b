"""The idempotency key of a request: which header lines say it, and what it may look like.

Source: wire contract section 1, "Idempotency". What a key means is the service's business: it is handed on as
metadata, and its replies say by a header whether they are replayed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.faults import Faults
    from gateway.http import Request

HEADERS: Final = (b"idempotency-key", b"x-idempotency-key")
"""Either; the second is what older clients send."""

KEY: Final = "idempotency-key"
"""The metadata key, and where faults of either header are reported."""

MAX_CHARACTERS: Final = 255
METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Elsewhere the headers mean nothing: a repeated GET does nothing twice."""

_FORM: Final = re.compile(rb"[\x20-\x7e]{1,%d}" % MAX_CHARACTERS)


def idempotency_key(request: Request, faults: Faults) -> str | None:
    """The key that came with the request; None without one, and after a fault."""
    sent = [request.header_values(header) for header in HEADERS]
    keys = {value.strip() for values in sent for value in values}
    if not keys:
        return None
    if any(len(values) > 1 for values in sent):
        faults.add(KEY, "given more than once")
    elif len(keys) > 1:
        faults.add(KEY, "Idempotency-Key and X-Idempotency-Key differ; send one of them")
    elif not _FORM.fullmatch(key := keys.pop()):
        faults.add(KEY, f"must be 1 to {MAX_CHARACTERS} printable ASCII characters, such as a UUID")
    else:
        return key.decode("ascii")
    return None
