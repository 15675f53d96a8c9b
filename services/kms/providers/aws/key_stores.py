"""Keys in a CloudHSM cluster or an external key store: which of AWS's answers are about the store. Pure.

AWS answers every trouble of such a store with the code that also says "pending deletion",
KMSInvalidStateException; only its message tells them apart. A proxy that times out must not seal a tenant,
while its owner who disables the external key means just that. So words of the message are looked for: to
choose among reasons, never to be shown.

Source: AWS KMS Developer Guide, "Troubleshooting external key stores" (the messages), "Key states of AWS KMS
keys" (`Unavailable`: the store is not connected).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from services.kms.model import Reason

STATE_CODE: Final = "KMSInvalidStateException"


class Mention(StrEnum):
    """What a message under STATE_CODE is about. Each is its own text in HINTS."""

    KEY_NOT_ENABLED = "key_not_enabled"
    KEY_NOT_THERE = "key_not_there"
    REFUSED = "refused"
    STORE = "store"


REASONS: Final = {
    Mention.KEY_NOT_ENABLED: Reason.KEY_DISABLED,
    Mention.KEY_NOT_THERE: Reason.KEY_NOT_FOUND,
    Mention.REFUSED: Reason.ACCESS_DENIED,
    Mention.STORE: Reason.UNREACHABLE,
}
HINTS: Final = {
    Mention.KEY_NOT_ENABLED: "The external key behind {key} in {region} is not enabled in its key manager,"
    " says AWS to {action} by {principal}. Enable it there.",
    Mention.KEY_NOT_THERE: "The external key behind {key} in {region} is not known to its key manager, says"
    " AWS to {action} by {principal}. Bring it back there, under the same id.",
    Mention.REFUSED: "The external key store proxy of {key} in {region} refused {action} by {principal}."
    " Allow it there.",
    Mention.STORE: "The custom or external key store of {key} in {region} did not answer AWS at {action} by"
    " {principal}. See that the store is connected, and that its proxy and key manager, or its CloudHSM"
    " cluster, are up. Nothing was changed; a retry is safe.",
}

_NAME: Final = re.compile(r"(?:arn:|alias/)\S+")
_WORDS: Final = (
    ("external key is not enabled", Mention.KEY_NOT_ENABLED),
    ("could not find the external key", Mention.KEY_NOT_THERE),
    ("proxy denied access", Mention.REFUSED),
    ("external key", Mention.STORE),
    ("key store", Mention.STORE),
    ("proxy", Mention.STORE),
    ("cloudhsm", Mention.STORE),
    ("request rate", Mention.STORE),
    ("unavailable", Mention.STORE),
)
"""The first that is there counts."""


def mention_of(code: str, message: object) -> Mention | None:
    """What AWS's message says about the key's store, if anything."""
    if code != STATE_CODE or not isinstance(message, str):
        return None
    words = _NAME.sub("", message.lower())  # keys may be called anything
    return next((mention for text, mention in _WORDS if text in words), None)
