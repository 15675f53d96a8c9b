"""The IAM Service Account Credentials API, as far as impersonation needs it: generateAccessToken.

Source: the API's REST reference. Delegation chains are refused, not ignored.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import grpc

from devcloud.faults import FaultKind
from devcloud.gcp.errors import (
    IAM_CREDENTIALS,
    GoogleError,
    as_answer,
    internal,
    json_answer,
    permission_denied,
    quota_exceeded,
)
from devcloud.gcp.model import GET_ACCESS_TOKEN, account_resource
from devcloud.gcp.tokens import CLOUD_PLATFORM, DEFAULT_SECONDS
from devcloud.http import HttpAnswer
from devcloud.ledger import OK

if TYPE_CHECKING:
    from devcloud.faults import Faults
    from devcloud.gcp.cloud import Cloud
    from devcloud.gcp.tokens import Tokens
    from devcloud.http import HttpRequest
    from devcloud.ledger import Ledger, OpenCall

OPERATION = "GenerateAccessToken"
SCOPES = (CLOUD_PLATFORM, "https://www.googleapis.com/auth/iam")
MAX_SECONDS = 3600
_PATH = re.compile(r"/v1/projects/-/serviceAccounts/([^/:?]+):generateAccessToken")
_IAM_DOMAIN = "iam.googleapis.com"
_LIFETIME = re.compile(r"(\d{1,6})(?:\.\d{1,9})?s", re.ASCII)
GARBAGE = b"<html><body>not the protocol</body></html>"


class IamEndpoint:
    """Answers requests for tokens of other service accounts."""

    def __init__(self, cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where a fault says so."""
        match = _PATH.fullmatch(request.target.partition("?")[0])
        if match is None or request.method != "POST":
            return HttpAnswer(404, b"devcloud serves generateAccessToken here\n")
        with self._ledger.call(OPERATION) as record:
            try:
                answer = self._answer(request, match[1], record)
            except GoogleError as error:
                record.outcome = error.code.name
                return as_answer(error)
            record.outcome = OK
            return answer

    def _answer(self, request: HttpRequest, email: str, record: OpenCall) -> HttpAnswer:
        caller = self._tokens.caller(request.headers.get("authorization"), IAM_CREDENTIALS, SCOPES)
        record.caller = caller.email
        with self._ledger.occupying(record, email):
            rules = self._faults.take_rules(OPERATION, email)
            weather = {rule.kind for rule in rules}
            if FaultKind.THROTTLE in weather:
                raise quota_exceeded(
                    "Generate credentials requests", IAM_CREDENTIALS, "project_number:1"
                )
            if FaultKind.INTERNAL in weather:
                raise internal()
            elsewhere = [rule.location for rule in rules if rule.kind is FaultKind.REDIRECT]
            if elsewhere:
                return HttpAnswer(307, b"", {"Location": elsewhere[-1] or "/"})
            body = self._token(caller.email, email, _members(request))
        if FaultKind.GARBAGE in weather:
            return HttpAnswer(200, GARBAGE, {"Content-Type": "text/html"})
        return json_answer(200, body)

    def _token(self, caller: str, email: str, members: dict[str, Any]) -> dict[str, Any]:
        account = self._cloud.account(email)
        if account is None:
            raise GoogleError(
                grpc.StatusCode.NOT_FOUND, f"Not found; Gaia id not found for email {email}"
            )
        if not self._cloud.permits(caller, GET_ACCESS_TOKEN, account_resource(email)):
            raise permission_denied(GET_ACCESS_TOKEN, account_resource(email), domain=_IAM_DOMAIN)
        if members.get("delegates"):
            raise _invalid("devcloud does not serve delegation chains.")
        scopes = members.get("scope")
        if not isinstance(scopes, list) or not scopes:
            raise _invalid("The scope field is required.")
        token, expires_at = self._tokens.issue(account, scopes, _seconds(members.get("lifetime")))
        expires = dt.datetime.fromtimestamp(expires_at, dt.UTC)
        return {"accessToken": token, "expireTime": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _members(request: HttpRequest) -> dict[str, Any]:
    try:
        members = json.loads(request.body or b"{}")
    except ValueError as error:
        raise _invalid("Invalid JSON payload received.") from error
    if not isinstance(members, dict):
        raise _invalid("Invalid JSON payload received.")
    return members


def _seconds(lifetime: object) -> float:
    if lifetime is None:
        return DEFAULT_SECONDS
    match = _LIFETIME.fullmatch(lifetime) if isinstance(lifetime, str) else None
    if match is None:
        raise _invalid("Invalid value at 'lifetime' (type.googleapis.com/google.protobuf.Duration)")
    seconds = int(match[1])
    if not 0 < seconds <= MAX_SECONDS:
        # An organisation may allow up to 12 hours; nobody does here.
        raise _invalid(
            f"The token lifetime requested must be a positive number not exceeding {MAX_SECONDS}s."
        )
    return seconds


def _invalid(message: str) -> GoogleError:
    return GoogleError(grpc.StatusCode.INVALID_ARGUMENT, message)
