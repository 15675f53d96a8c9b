"""The metadata server of a virtual machine: where the operator's own identity comes from.

Serves what google-auth asks for: a ping at the root, the project, the universe, the default
service account and its token. Source: Google's "About VM metadata".
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from devcloud.faults import FaultKind
from devcloud.gcp.tokens import CLOUD_PLATFORM, DEFAULT_SECONDS
from devcloud.http import HttpAnswer
from devcloud.ledger import OK

if TYPE_CHECKING:
    from devcloud.faults import Faults
    from devcloud.gcp.cloud import Cloud
    from devcloud.gcp.model import ServiceAccount
    from devcloud.gcp.tokens import Tokens
    from devcloud.http import HttpRequest
    from devcloud.ledger import Ledger

OPERATION = "MetadataToken"
_ROOT = "/computeMetadata/v1/"
_HEADERS = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
_UNIVERSE = "googleapis.com"


class MetadataEndpoint:
    """Answers as the machine that the operator's service account is attached to."""

    def __init__(self, cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where a fault says so."""
        parts = urlsplit(request.target)
        if parts.path == "/":
            return _text("computeMetadata/\n")
        flavor = request.headers.get("metadata-flavor", "")
        if flavor != "Google" or "x-forwarded-for" in request.headers:
            return _text("Missing Metadata-Flavor:Google header.\n", 403)
        account = self._cloud.account(self._cloud.seed.get("operator", ""))
        if account is None or not parts.path.startswith(_ROOT):
            return _text("not found\n", 404)
        return self._about(account, parts.path.removeprefix(_ROOT), parse_qs(parts.query))

    def _about(self, account: ServiceAccount, path: str, query: dict[str, list[str]]) -> HttpAnswer:
        plain = {
            "project/project-id": account.project,
            "universe/universe-domain": _UNIVERSE,
        }
        for name in ("default", account.email):
            folder = f"instance/service-accounts/{name}/"
            plain[f"{folder}email"] = account.email
            if path == f"{folder}token":
                return self._token(account, query)
            if path == folder and query.get("recursive") == ["true"]:
                shown: dict[str, object] = {
                    "aliases": ["default"],
                    "email": account.email,
                    "scopes": [CLOUD_PLATFORM],
                }
                return _json(shown)
        return _text(plain[path]) if path in plain else _text("not found\n", 404)

    def _token(self, account: ServiceAccount, query: dict[str, list[str]]) -> HttpAnswer:
        scopes = query.get("scopes", [CLOUD_PLATFORM])[0].split(",")
        with self._ledger.call(OPERATION) as record:
            record.caller = account.email
            with self._ledger.occupying(record, account.email):
                weather = self._faults.take(OPERATION, account.email)
                if weather & {FaultKind.INTERNAL, FaultKind.THROTTLE}:
                    record.outcome = "UNAVAILABLE"
                    return _text("unavailable\n", 503)
                token, expires_at = self._tokens.issue(account, scopes, DEFAULT_SECONDS)
            record.outcome = OK
        if FaultKind.GARBAGE in weather:
            return _text("not the protocol")
        seconds = max(0, int(expires_at - time.time()))
        return _json({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})


def _text(text: str, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, text.encode(), {**_HEADERS, "Content-Type": "application/text"})


def _json(body: dict[str, object]) -> HttpAnswer:
    return HttpAnswer(
        200, json.dumps(body).encode(), {**_HEADERS, "Content-Type": "application/json"}
    )
