"""Why certificate material was refused, in words for the person who sent it."""

from typing import Literal

Field = Literal["certificate_content", "private_key", "passphrase", "certificate_type"]
"""The request field at fault, as the client spells it."""

Reason = Literal[
    "not_this_format",
    "malformed",
    "empty",
    "wrong_passphrase",
    "passphrase_required",
    "unsupported_algorithm",
    "key_mismatch",
    "invalid_private_key",
    "invalid_base64",
    "no_certificate",
]
"""The machine-readable reasons of API.md section 4."""


class CertificateRefused(Exception):  # noqa: N818 - it is a refusal, not an error of ours
    """The material cannot be stored, and sending it again unchanged will not help.

    `message` says what is wrong and what to do. It holds no byte of the certificate, the key or
    the passphrase, so it may be logged and sent to the client. `reason` is None for plain
    validation faults (a size limit, an unknown type) that API.md gives no reason for.
    The three values are the exception's `args`, so it survives pickling.
    """

    def __init__(self, field: Field, reason: Reason | None, message: str) -> None:
        super().__init__(field, reason, message)
        self.field: Field = field
        self.reason: Reason | None = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
