"""The members of a KMS request, checked as AWS checks them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from devcloud.aws.errors import AwsError, validation

if TYPE_CHECKING:
    from collections.abc import Mapping


class Params:
    """A JSON request body. Members the operation does not ask for are ignored, as by AWS."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = members

    @classmethod
    def parse(cls, body: bytes) -> Params:
        """Raises AwsError SerializationException."""
        try:
            members = json.loads(body or b"{}")
        except ValueError as error:
            raise AwsError("SerializationException", "the body is not JSON") from error
        if not isinstance(members, dict):
            raise AwsError("SerializationException", "the body is not a structure")
        return cls(members)

    def text(self, name: str) -> str:
        """A required string of at least one character."""
        value = self.optional_text(name)
        if not value:
            raise validation(f"Value null at '{_camel(name)}' failed: Member must not be null")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, None where it was left out."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, str):
            raise AwsError("SerializationException", f"{name} is not a string")
        return value

    def optional_number(self, name: str) -> int | None:
        """An integer, None where it was left out."""
        value = self._members.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise AwsError("SerializationException", f"{name} is not an integer")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false where it was left out."""
        return self._members.get(name) is True

    def blob(self, name: str, limit: int) -> bytes:
        """Required base64 bytes, 1 to `limit` of them."""
        try:
            value = base64.b64decode(self.text(name), validate=True)
        except binascii.Error as error:
            raise AwsError("SerializationException", f"{name} is not base64") from error
        if not 1 <= len(value) <= limit:
            raise validation(
                f"Value at '{_camel(name)}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {limit}"
            )
        return value

    def context(self) -> dict[str, str]:
        """The EncryptionContext, empty where it was left out."""
        value = self._members.get("EncryptionContext")
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise AwsError("SerializationException", "EncryptionContext is not a string map")
        try:
            "".join([*value, *value.values()]).encode()
        except UnicodeEncodeError as error:
            # JSON can spell half a surrogate pair; no byte string can hold it.
            raise AwsError("SerializationException", "EncryptionContext is not UTF-8") from error
        return value


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
