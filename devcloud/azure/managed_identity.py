"""The managed identity endpoint of App Service: plain HTTP on loopback, guarded by a header.

Source: "How to use managed identities for App Service and Azure Functions", REST endpoint
reference, api-version 2019-08-01.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from devcloud.azure import weather
from devcloud.azure.errors import BAD_REQUEST, SERVER_ERROR, TOO_MANY, UNAUTHORIZED
from devcloud.azure.login import RESOURCES
from devcloud.azure.model import Caller
from devcloud.faults import FaultKind

if TYPE_CHECKING:
    from devcloud.azure.cloud import Cloud
    from devcloud.azure.model import ManagedIdentity
    from devcloud.azure.tokens import Tokens
    from devcloud.faults import Faults
    from devcloud.http import HttpAnswer, HttpRequest
    from devcloud.ledger import Ledger, OpenCall

PATH = "/msi/token"
OPERATION = "ManagedIdentityToken"
_API_VERSION = "2019-08-01"
_UNKNOWN = (
    "No User Assigned or Delegated Managed Identity found for specified "
    "ClientId/ResourceId/PrincipalId."
)


class ManagedIdentityEndpoint:
    """Answers GET /msi/token. Calls and faults go by the identity's client id."""

    def __init__(self, cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where a fault says so."""
        query = {name: v[0] for name, v in parse_qs(urlsplit(request.target).query).items()}
        with self._ledger.call(OPERATION) as record:
            return weather.answered(record, lambda: self._done(request, query, record))

    def _done(self, request: HttpRequest, query: dict[str, str], record: OpenCall) -> weather.Done:
        given = request.headers.get("x-identity-header", "")
        if not hmac.compare_digest(given.encode(), self._cloud.identity_header.encode()):
            raise _refused(UNAUTHORIZED, "The X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != _API_VERSION:
            raise _refused(BAD_REQUEST, "The api-version is not supported.")
        # An identity named in another way must not get the token of the default one.
        surplus = query.keys() - {"api-version", "resource", "client_id"}
        identity = None if surplus else self._named(query.get("client_id"))
        if identity is None:
            raise _refused(BAD_REQUEST, _UNKNOWN)
        record.caller = identity.client_id
        resource = query.get("resource", "").rstrip("/")
        if resource not in RESOURCES:
            raise _refused(BAD_REQUEST, f"The resource {resource} was not found in the tenant.")
        with self._ledger.occupying(record, identity.client_id):
            kinds = weather.meet(self._faults, OPERATION, identity.client_id)
            if FaultKind.THROTTLE in kinds:
                raise _refused(TOO_MANY, "Too many requests.")
            if FaultKind.INTERNAL in kinds:
                raise _refused(
                    SERVER_ERROR, "An unexpected error occured while fetching the token."
                )
            caller = Caller(identity.client_id, identity.object_id, identity.tenant_id)
            issued = self._tokens.issue(caller, resource)
        body = {
            "access_token": issued.token,
            "expires_on": str(int(time.time()) + issued.seconds),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": identity.client_id,
        }
        return body, kinds

    def _named(self, client_id: str | None) -> ManagedIdentity | None:
        if client_id is not None:
            return self._cloud.identity(client_id)
        # Without a name it is the system-assigned one: here the first that was made.
        return next(iter(self._cloud.identities()), None)


def _refused(status: int, message: str) -> weather.Refusal:
    body = {"statusCode": status, "message": message}
    return weather.Refusal(f"Status{status}", weather.json_answer(status, body))
