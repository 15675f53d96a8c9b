"""Whatever Google's libraries raise, as a GcpFault. Nothing of their text gets further."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Final

from google.api_core.exceptions import GoogleAPICallError
from google.rpc.error_details_pb2 import PreconditionFailure

from services.kms.providers.gcp.errors import MISMATCH, GcpFault, Mention
from services.kms.providers.gcp.integrity import MismatchError

if TYPE_CHECKING:
    from services.kms.providers.gcp.errors import Action
    from services.kms.providers.gcp.http import Answer

_NO_ANSWER: Final = GcpFault()
_FROM_A_PROXY: Final = "received http2 header with status"
"""gRPC's own words for an answer that is not gRPC; of HTTP's 403 it makes PERMISSION_DENIED."""
_TOO_MANY: Final = 429
_ERROR: Final = 400
_NAME: Final = re.compile(r"projects/\S+")
_TELLING: Final = (
    "google.cloud.kms_v1.services.key_management_service.async_client",
    "google.cloud.kms_v1.services.key_management_service.transports.grpc_asyncio",
    "grpc._common",
)


class GcpFailedError(Exception):
    """A call failed. Holds names of statuses and reasons only."""

    def __init__(self, action: Action, fault: GcpFault) -> None:
        super().__init__(fault.status)
        self.action = action
        self.fault = fault


def of_kms(error: Exception) -> GcpFault:
    """From a call of Cloud KMS."""
    if isinstance(error, MismatchError):
        return MISMATCH
    status = getattr(error, "grpc_status_code", None)
    if not isinstance(error, GoogleAPICallError) or status is None:
        return _NO_ANSWER
    message = str(error.message).lower()
    if _FROM_A_PROXY in message:
        return _NO_ANSWER
    violations = tuple(
        violation.type
        for detail in error.details
        if isinstance(detail, PreconditionFailure)
        for violation in detail.violations
    )
    return GcpFault(status.name, error.reason or "", violations, _mention(message))


def of_login(answer: Answer | None) -> GcpFault:
    """From the last answer of the IAM Service Account Credentials API, in the error form of Google's APIs.

    What is not in that form did not come from Google: a proxy's page is no refusal.
    """
    if answer is None or answer.status < _ERROR:
        return _NO_ANSWER
    try:
        error = json.loads(answer.data)["error"]
        status, details = str(error["status"]), error.get("details") or []
        reason = next((str(one["reason"]) for one in details if "reason" in one), "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return GcpFault("RESOURCE_EXHAUSTED") if answer.status == _TOO_MANY else _NO_ANSWER
    return GcpFault(status, reason)


def _mention(message: str) -> Mention | None:
    words = _NAME.sub("", message)  # keys may be called anything
    if "purpose" in words:
        return Mention.PURPOSE
    if "crc32c" in words or "checksum" in words:
        return Mention.CHECKSUM
    return None


def quiet() -> None:
    """Switch off the libraries' loggers that show what was sent, key and token, or what came back.

    Whatever level is set: GOOGLE_SDK_PYTHON_LOGGING_SCOPE sets levels of its own.
    """
    for name in _TELLING:
        logging.getLogger(name).disabled = True
