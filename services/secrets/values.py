"""Checks of what clients send: every fault of a request is found, then all are told at once."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, cast

from services.common.errors import UnsupportedTypeError, ValidationError
from services.secrets.model import Draft
from services.secrets.naming import is_environment_name, is_name, normalise, parse_id

if TYPE_CHECKING:
    from uuid import UUID

    from services.secrets.model import CreateRequest, SecretType, SentPayload

MAX_VALUE_BYTES: Final = 64 * 1024
MAX_DESCRIPTION: Final = 1024

STORED_AS_STRING: Final = ("api_key", "basic_auth", "custom")
"""Types that published clients send; they are stored as `string`."""

_LATER: Final = ("oauth2", "oauth2_token")
"""Types of a later stage; published clients name it in both ways."""

_CERTIFICATE_FIELDS: Final = (
    "certificate_content",
    "private_key",
    "passphrase",
    "certificate_type",
)
ORDERS: Final = ("asc", "desc")
_TYPES: Final = ("string", "certificate")
NO_ENVIRONMENT: Final = "There is no such environment."
NO_COLLECTION: Final = "There is no such collection."
_NOT_AN_ID: Final = "Must be a UUID."


class Faults:
    """Collects what is wrong with a request."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}
        self._reason: str | None = None

    def add(self, field: str, fault: str, *, reason: str | None = None) -> None:
        """One more fault; the first reason given is the error's."""
        self._found.setdefault(field, []).append(fault)
        self._reason = self._reason or reason

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, field: str) -> bool:
        return field in self._found

    def raise_any(self) -> None:
        """Raise ValidationError with all of them, if there are any."""
        if not self._found:
            return
        # Some published clients show the message and nothing else: it tells every field and its fault.
        message = " ".join(f"{field}: {faults[0]}" for field, faults in self._found.items())
        raise ValidationError(message, fields=self._found, reason=self._reason)


def secret_type(request: CreateRequest, faults: Faults) -> SecretType:
    """The stored type. Raises UnsupportedTypeError for one of a later stage."""
    sent = request.secret_type
    if request.is_certificate:
        if sent not in {None, "certificate"}:
            faults.add("secret_type", "Must be certificate here.")
        return "certificate"
    if sent is None or sent in STORED_AS_STRING:
        return "string"
    if sent in _LATER:
        raise UnsupportedTypeError(f"Secrets of the type {sent} are not supported yet.")
    if sent not in _TYPES:
        faults.add("secret_type", "Must be string or certificate.")
        return "string"
    return cast("SecretType", sent)


def draft(request: CreateRequest, kind: SecretType, faults: Faults) -> Draft:
    """What is in clear of a new secret. Use it only when there are no faults."""
    return Draft(
        name=name(request.name, faults),
        secret_type=kind,
        description=description(request.description, faults),
        environment=environment(request.environment, faults),
        collection_id=optional_id("collection_id", request.collection_id, faults),
        expires_at=request.expires_at,
        strict_expiry_enforcement=request.strict_expiry_enforcement,
    )


def name(sent: str, faults: Faults) -> str:
    """The name of a secret, normalised."""
    found = normalise(sent)
    if not sent:
        faults.add("name", "Is required.")
    elif not is_name(found):
        faults.add("name", "Must be 1 to 128 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`.")
    return found


def string_value(sent: SentPayload, faults: Faults) -> bytes:
    """The bytes of a string's value; fields of certificates are refused."""
    for field in _CERTIFICATE_FIELDS:
        if getattr(sent, field) is not None:
            faults.add(field, "Belongs to certificate secrets only.")
    if sent.value is None:
        faults.add("value", "Is required.")
        return b""
    encoded = sent.value.encode()
    if not 1 <= len(encoded) <= MAX_VALUE_BYTES:
        faults.add("value", f"Must be 1 to {MAX_VALUE_BYTES} bytes of UTF-8.")
    return encoded


def certificate_fields(sent: SentPayload, faults: Faults) -> bool:
    """Whether there is a certificate to read; a string's value is refused."""
    if sent.value is not None:
        faults.add("value", "Belongs to string secrets only; send certificate_content.")
    if not sent.certificate_content:
        faults.add("certificate_content", "Is required.", reason="empty")
        return False
    return True


def environment(name: str | None, faults: Faults) -> str | None:
    """The name of an environment that may exist."""
    if name is not None and not is_environment_name(name):
        faults.add("environment", NO_ENVIRONMENT)
    return name


def one_of(field: str, sent: str | None, allowed: tuple[str, ...], faults: Faults) -> str | None:
    """What was sent, if it is allowed."""
    if sent is not None and sent not in allowed:
        faults.add(field, f"Must be one of {', '.join(allowed)}.")
    return sent


def optional_id(field: str, sent: str | None, faults: Faults) -> UUID | None:
    """The id that was sent."""
    if sent is None:
        return None
    found = parse_id(sent)
    if found is None:
        faults.add(field, _NOT_AN_ID)
    return found


def description(sent: str | None, faults: Faults) -> str | None:
    """A text for people, in lines; None for an empty one."""
    if sent is None:
        return None
    if len(sent) > MAX_DESCRIPTION:
        faults.add("description", f"Must be at most {MAX_DESCRIPTION} characters.")
    if has_control(sent.replace("\n", "").replace("\t", "").replace("\r", "")):
        faults.add("description", "Must not hold control characters.")
    return sent or None


def has_control(text: str) -> bool:
    """C0, C1 and DEL. PostgreSQL cannot hold NUL, and a terminal obeys the others."""
    return any(unicodedata.category(character) == "Cc" for character in text)
