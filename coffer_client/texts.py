"""What a text must be to be sent at all, checked before gRPC sees it. Pure.

gRPC and protobuf refuse such a text too, but in words that do not say which, or with the text in them: no
refusal from here holds what it refuses, nor does another exception stand behind it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from coffer_client.errors import RequestNotValidError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WORD: Final = re.compile(r"\S+")
_API_KEY: Final = re.compile(r"[!-~]+")
_IDEMPOTENCY_KEY: Final = re.compile(r"[ -~]{1,255}")


def check(texts: Mapping[str, object]) -> None:
    """Each, by its field, is None, a UUID or text. Raises RequestNotValidError naming those that are not."""
    faults = {field: fault for field, given in texts.items() if (fault := _fault(given))}
    if faults:
        raise _refusal(faults)


def check_words(**texts: str | None) -> None:
    """Each is None, or text that is neither empty nor has white space. Raises RequestNotValidError."""
    check(texts)
    faults = {
        field: "must not be empty nor have white space in it"
        for field, given in texts.items()
        if given is not None and not _WORD.fullmatch(given)
    }
    if faults:
        raise _refusal(faults)


def api_key(given: str | None) -> str | None:
    """As it is sent: without the newline at the end of the file that it may come from.

    Raises RequestNotValidError for what cannot be a header's value, and for an empty one.
    """
    if given is None:
        return None
    check({"api_key": given})
    key = given.rstrip("\r\n")
    if not _API_KEY.fullmatch(key):
        fault = "must be visible ASCII characters without spaces, as it was issued"
        raise _refusal({"api_key": fault})
    return key


def idempotency_key(given: str) -> str:
    """The same. Raises RequestNotValidError for what the service would not take."""
    check({"idempotency_key": given})
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        fault = "must be 1 to 255 printable ASCII characters, such as a UUID"
        raise _refusal({"idempotency_key": fault})
    return given


def _fault(given: object) -> str | None:
    if given is None or isinstance(given, UUID):
        return None
    if not isinstance(given, str):
        return "must be text (str)"
    return "must not hold half of a surrogate pair" if _SURROGATE.search(given) else None


def _refusal(faults: Mapping[str, str]) -> RequestNotValidError:
    told = "; ".join(f"{field} {fault}" for field, fault in faults.items())
    return RequestNotValidError(
        f"This cannot be sent: {told}.", fields={field: [fault] for field, fault in faults.items()}
    )
