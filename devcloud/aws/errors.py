"""The refusals of the stand-in, by the code the SDK shows its caller."""

from __future__ import annotations

BAD_REQUEST = 400
FORBIDDEN = 403
SERVER_ERROR = 500


class AwsError(Exception):
    """An AWS error answer: its code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = BAD_REQUEST) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def validation(message: str) -> AwsError:
    """KMS's refusal of a request that breaks a documented constraint."""
    return AwsError("ValidationException", f"1 validation error detected: {message}")


def key_not_found(arn: str) -> AwsError:
    """No such key, or no longer."""
    return AwsError("NotFoundException", f"Key '{arn}' does not exist")
