"""The refusals of the stand-in, as the vault and the login tell them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from devcloud.azure.weather import RETRY_AFTER, Refusal, json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_REQUEST = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429
SERVER_ERROR = 500


class VaultError(Refusal):
    """A Key Vault error answer. `inner` is the code of its innererror, where it has one."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        inner: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body: dict[str, Any] = {"code": code, "message": message}
        if inner is not None:
            body["innererror"] = {"code": inner}
        # The ledger gets the most exact code there is.
        super().__init__(inner or code, json_answer(status, {"error": body}, headers))


class LoginError(Refusal):
    """An OAuth error answer of the login; `number` is that of AADSTS."""

    def __init__(self, error: str, number: int, message: str, status: int = BAD_REQUEST) -> None:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        body = {
            "error": error,
            "error_description": f"AADSTS{number}: {message} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        }
        headers = RETRY_AFTER if status == TOO_MANY else None
        super().__init__(f"AADSTS{number}", json_answer(status, body, headers))


def bad_parameter(message: str) -> VaultError:
    """A request that does not say what it must."""
    return VaultError(BAD_REQUEST, "BadParameter", message)


def key_not_found(name: str) -> VaultError:
    """No such key or version, or only a deleted one."""
    return VaultError(
        NOT_FOUND,
        "KeyNotFound",
        f"A key with (name/id) {name} was not found in this key vault. If you recently deleted this "
        "key you may be able to recover it using the correct recovery command. For help resolving "
        "this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
    )
