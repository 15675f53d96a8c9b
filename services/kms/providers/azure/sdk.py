"""Turning whatever the SDK raises or answers into an AzureFault, or into checked bytes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import socket
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientConnectorDNSError
from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import CredentialUnavailableError

from services.common.errors import UnavailableError
from services.kms.providers.azure.errors import (
    NO_IDENTITY,
    NO_SUCH_HOST,
    Action,
    AzureFault,
    IdentityKind,
)
from services.kms.providers.azure.transport import ChallengeRefusedError

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse

PROVIDER: Final = "azure"
_OK: Final = 200
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_AADSTS: Final = re.compile(r"\bAADSTS\d{4,9}\b")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_NO_SUCH_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class AzureFailedError(Exception):
    """A call failed. Holds codes only: no text of Azure or the SDK gets further."""

    def __init__(self, fault: AzureFault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def not_asked() -> UnavailableError:
    """Our own queue was too long. No word about the customer's key, so nothing is sealed for it."""
    return UnavailableError("Too many calls to Azure are waiting; try again in a moment.")


def fault_of_vault(action: Action, error: Exception) -> AzureFault:
    """What an exception of a call to a vault means. That of a login under way stays what it is."""
    if isinstance(error, AzureFailedError):
        return error.fault
    if isinstance(error, ChallengeRefusedError):
        return AzureFault(action, 0, error.code)
    if _no_such_host(error):
        return AzureFault(action, 0, NO_SUCH_HOST)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return AzureFault(action, status or 0)


def fault_of_login(kind: IdentityKind, error: Exception) -> AzureFault:
    """What an exception of a login means."""
    if isinstance(error, AzureFailedError):
        return error.fault
    if isinstance(error, ChallengeRefusedError):
        return AzureFault(Action.LOGIN, 0, error.code)
    # The host's own endpoint and the token file are the platform's, whatever is wrong with them.
    if kind is IdentityKind.MANAGED or isinstance(error, CredentialUnavailableError):
        return AzureFault(Action.LOGIN, 0, NO_IDENTITY)
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return AzureFault(Action.LOGIN, 0, NO_IDENTITY)
    if not isinstance(error, HttpResponseError) or error.response is None:
        return AzureFault(Action.LOGIN)
    answer = _json(error.response)
    found = _AADSTS.search(str(answer.get("error_description", "")))
    return AzureFault(
        Action.LOGIN,
        error.response.status_code or 0,
        _code(answer.get("error")),
        found.group() if found else "",
    )


def answer_of(action: Action, response: AsyncHttpResponse) -> tuple[str, bytes]:
    """The key identifier and bytes of a vault's answer to wrapkey or unwrapkey.

    Raises AzureFailedError: with the vault's code, or with none for what is not such an answer.
    """
    answer = _json(response)
    if response.status_code != _OK:
        error = answer.get("error")
        error = error if isinstance(error, dict) else {}
        inner = error.get("innererror") or error.get("innerError")
        detail = _code(inner.get("code")) if isinstance(inner, dict) else ""
        raise AzureFailedError(
            AzureFault(action, response.status_code, _code(error.get("code")), detail)
        )
    kid, value = answer.get("kid"), answer.get("value")
    opened = from_base64url(value) if isinstance(value, str) else None
    if not isinstance(kid, str) or opened is None:
        raise AzureFailedError(AzureFault(action, response.status_code))
    return kid, opened


def to_base64url(data: bytes) -> str:
    """Unpadded (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes | None:
    """The bytes of unpadded base64url; None for anything that is not exactly that."""
    if not _BASE64URL.fullmatch(text):
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return data if to_base64url(data) == text else None


def _json(response: Any) -> dict[str, Any]:
    try:
        answer = json.loads(response.text())
    except (ValueError, LookupError, AzureError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _code(value: object) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _no_such_host(error: BaseException | None) -> bool:
    for _ in range(5):
        if isinstance(error, ClientConnectorDNSError):
            return error.os_error.errno in _NO_SUCH_NAME
        if error is None or isinstance(error, asyncio.CancelledError):
            return False
        error = getattr(error, "inner_exception", None) or error.__cause__
    return False
