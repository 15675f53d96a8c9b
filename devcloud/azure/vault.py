"""Key Vault on the wire: which vault and key a request means, who asks, and the answer.

Source: Key Vault REST reference, "Authentication, requests and responses", "Common error codes".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from devcloud.azure import key_operations, weather
from devcloud.azure.access import require_address, require_permission
from devcloud.azure.errors import (
    NOT_FOUND,
    SERVER_ERROR,
    TOO_MANY,
    UNAUTHORIZED,
    VaultError,
    bad_parameter,
)
from devcloud.azure.model import GET, UNWRAP, WRAP, Caller, Vault
from devcloud.azure.tokens import TokenRefusedError
from devcloud.faults import ConnectionDropped, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devcloud.azure.cloud import Cloud
    from devcloud.azure.tokens import Tokens
    from devcloud.faults import Faults
    from devcloud.http import HttpAnswer, HttpRequest
    from devcloud.ledger import Ledger, OpenCall

API_VERSIONS = ("7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01")
_OPERATIONS = {
    ("GET", ""): ("GetKey", GET),
    ("POST", "wrapkey"): ("WrapKey", WRAP),
    ("POST", "unwrapkey"): ("UnwrapKey", UNWRAP),
}


@dataclass(frozen=True, slots=True)
class VaultCall:
    """One request, as far as its address tells."""

    operation: str
    permission: str
    vault: Vault
    name: str
    version: str | None
    request: HttpRequest

    @property
    def key_url(self) -> str:
        """The key without its version: what calls and faults go by."""
        return f"https://{self.vault.host}/keys/{self.name}"

    @property
    def label(self) -> str:
        """Name and version, as a refusal shows them."""
        return self.name if self.version is None else f"{self.name}/{self.version}"


class VaultEndpoint:
    """Answers `/keys/...` of every vault.

    A request without a token counts as the operation `Challenge`, so that the SDK's habit of asking
    once without does not count twice. A host that is no vault's is hung up on, as a name that does
    not resolve would fail before any answer.
    """

    def __init__(
        self,
        cloud: Cloud,
        tokens: Tokens,
        faults: Faults,
        ledger: Ledger,
        *,
        authority: Callable[[], str],
    ) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger
        self._authority = authority

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where there is no such vault or a fault says so."""
        host = request.headers.get("host", "").partition(":")[0].lower()
        vault = self._cloud.vault(host)
        if vault is None or vault.gone:
            with self._ledger.call("UnknownVault") as record:
                record.resource = f"https://{host}"
            raise ConnectionDropped
        call = _parsed(vault, request)
        if call is None:
            with self._ledger.call("Unknown"):
                return VaultError(NOT_FOUND, "NotFound", "The requested path was not found").answer
        bearer = _bearer(request)
        operation = "Challenge" if bearer is None else call.operation

        def done() -> weather.Done:
            with self._ledger.occupying(record, call.key_url):
                kinds = weather.meet(self._faults, operation, call.key_url)
                _refuse_in_bad(kinds)
                body = self._authenticated(call, bearer, record)
            if FaultKind.CORRUPT in kinds and call.operation == "UnwrapKey":
                body = {**body, "value": _other_bytes(body["value"])}
            return body, kinds

        with self._ledger.call(operation) as record:
            return weather.answered(record, done)

    def _authenticated(
        self, call: VaultCall, bearer: str | None, record: OpenCall
    ) -> dict[str, Any]:
        vault = call.vault
        if bearer is None:
            missing = "AKV10000: Request is missing a Bearer or PoP token."
            raise self._challenge(vault, missing)
        try:
            caller = self._tokens.read(bearer, audience=vault.resource, tenant_id=vault.tenant_id)
        except TokenRefusedError as error:
            raise self._challenge(vault, str(error), invalid=True) from error
        record.caller = caller.client_id
        return self._authorized(call, caller)

    def _authorized(self, call: VaultCall, caller: Caller) -> dict[str, Any]:
        _require_api_version(call.request)
        require_address(call.vault, caller)
        key = self._cloud.key(call.key_url)
        require_permission(call.vault, key, call.name, caller, call.permission)
        selected = key_operations.select(key, call.label, call.version)
        if call.operation == "GetKey":
            return key_operations.shown(selected)
        body = _json_body(call.request)
        if call.operation == "WrapKey":
            return key_operations.wrap(selected, body)
        return key_operations.unwrap(selected, body)

    def _challenge(self, vault: Vault, message: str, *, invalid: bool = False) -> VaultError:
        authority = vault.challenge_authority or self._authority()
        resource = vault.challenge_resource or vault.resource
        challenge = f'Bearer authorization="{authority}/{vault.tenant_id}", resource="{resource}"'
        if invalid:
            challenge += f', error="invalid_token", error_description="{message}"'
        headers = {"WWW-Authenticate": challenge}
        return VaultError(UNAUTHORIZED, "Unauthorized", message, headers=headers)


def _refuse_in_bad(kinds: frozenset[FaultKind]) -> None:
    if FaultKind.THROTTLE in kinds:
        raise VaultError(
            TOO_MANY,
            "Throttled",
            "Request was not processed because too many requests were received. "
            "Reason: VaultRequestTypeLimitReached",
            headers=weather.RETRY_AFTER,
        )
    if FaultKind.INTERNAL in kinds:
        raise VaultError(
            SERVER_ERROR,
            "InternalError",
            "An internal server error has occurred. Please retry the request.",
        )


def _parsed(vault: Vault, request: HttpRequest) -> VaultCall | None:
    parts = urlsplit(request.target).path.split("/")
    if len(parts) < 3 or parts[:2] != ["", "keys"] or not parts[2]:  # noqa: PLR2004 - "/keys/NAME"
        return None
    name, rest = parts[2], parts[3:]
    verb = rest.pop().lower() if request.method == "POST" and rest else ""
    found = _OPERATIONS.get((request.method, verb))
    # A missing version leaves its slashes: /keys/NAME//wrapkey, /keys/NAME/.
    if found is None or len(rest) > 1:
        return None
    version = rest[0] if rest and rest[0] else None
    operation, permission = found
    return VaultCall(operation, permission, vault, name, version, request)


def _bearer(request: HttpRequest) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None


def _require_api_version(request: HttpRequest) -> None:
    query = parse_qs(urlsplit(request.target).query)
    (version,) = query.get("api-version", [""])[:1]
    if not version:
        raise bad_parameter("api-version must be specified")
    if version not in API_VERSIONS:
        raise bad_parameter(
            f"The specified version ({version}) is not recognized. Consider using the latest "
            f"supported version ({API_VERSIONS[-1]})."
        )


def _json_body(request: HttpRequest) -> Mapping[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_parameter("Request body not specified or not valid JSON")
    return body


def _other_bytes(value: str) -> str:
    return key_operations.encoded(bytes(b ^ 0x5A for b in key_operations.decoded(value)))
