"""Microsoft's login: a tenant's OpenID configuration and its token endpoint, client_credentials only.

Source: Microsoft identity platform, "OAuth 2.0 client credentials flow" and "Microsoft Entra
authentication and authorization error codes".
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from devcloud.azure import weather
from devcloud.azure.errors import SERVER_ERROR, TOO_MANY, UNAUTHORIZED, LoginError
from devcloud.azure.model import SUFFIXES, App, Caller
from devcloud.azure.tokens import EXCHANGE_AUDIENCE
from devcloud.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcloud.azure.cloud import Cloud
    from devcloud.azure.tokens import Tokens
    from devcloud.faults import Faults
    from devcloud.http import HttpAnswer, HttpRequest
    from devcloud.ledger import Ledger, OpenCall

TOKEN_PATH = "/oauth2/v2.0/token"  # noqa: S105 - an address
CONFIGURATION_PATH = "/v2.0/.well-known/openid-configuration"
RESOURCES = frozenset(SUFFIXES.values()) | {"https://management.azure.com", EXCHANGE_AUDIENCE}
"""What a token can be for."""
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEFAULT = "/.default"
_UNAVAILABLE = "temporarily_unavailable"


class LoginEndpoint:
    """Answers `/{tenant}/...`. Calls and faults go by tenant id."""

    def __init__(self, cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger

    def serves(self, request: HttpRequest) -> bool:
        """Whether the path is one of the login's."""
        return urlsplit(request.target).path.endswith((TOKEN_PATH, CONFIGURATION_PATH))

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where a fault says so."""
        path = urlsplit(request.target).path
        tenant_id = path.split("/")[1].lower()
        operation = "Token" if path.endswith(TOKEN_PATH) else "OpenIdConfiguration"

        def done() -> weather.Done:
            with self._ledger.occupying(record, tenant_id):
                kinds = weather.meet(self._faults, operation, tenant_id)
                _refuse_in_bad(kinds)
                return self._told(request, operation, tenant_id, record), kinds

        with self._ledger.call(operation) as record:
            return weather.answered(record, done, {"Cache-Control": "no-store, no-cache"})

    def _told(
        self, request: HttpRequest, operation: str, tenant_id: str, record: OpenCall
    ) -> dict[str, Any]:
        if not self._cloud.has_tenant(tenant_id):
            raise LoginError(
                "invalid_request",
                90002,
                f"Tenant '{tenant_id}' not found. Check to make sure you have the correct tenant "
                "ID and are signing into the correct cloud. Check with your subscription "
                "administrator, this may happen if there are no active subscriptions for the "
                "tenant.",
            )
        if operation == "OpenIdConfiguration":
            return _configuration(request.headers.get("host", ""), tenant_id)
        # Bytes that are not UTF-8 become replacement characters: they match nothing.
        form = parse_qs(request.body.decode("utf-8", "replace"))
        return self._token({name: values[0] for name, values in form.items()}, tenant_id, record)

    def _token(self, form: Mapping[str, str], tenant_id: str, record: OpenCall) -> dict[str, Any]:
        client_id = form.get("client_id", "")
        record.caller = client_id
        if form.get("grant_type") != "client_credentials":
            raise LoginError(
                "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
            )
        app = self._cloud.app(client_id)
        if app is None:
            raise _unknown_app(client_id, tenant_id)
        if not app.enabled:
            raise LoginError(
                "unauthorized_client", 7000112, f"Application '{client_id}'(coffer) is disabled."
            )
        self._prove(app, form)
        audience = _audience(form.get("scope", ""))
        object_id = app.principals.get(tenant_id)
        if object_id is None:
            raise LoginError(
                "invalid_client",
                7000229,
                f"The client application {client_id} is missing service principal in the tenant "
                f"{tenant_id}. See instructions here: https://go.microsoft.com/fwlink/?linkid="
                "2225119",
                UNAUTHORIZED,
            )
        issued = self._tokens.issue(Caller(client_id, object_id, tenant_id), audience)
        return {
            "token_type": "Bearer",
            "expires_in": issued.seconds,
            "ext_expires_in": issued.seconds,
            "access_token": issued.token,
        }

    def _prove(self, app: App, form: Mapping[str, str]) -> None:
        assertion = form.get("client_assertion")
        if assertion is not None and form.get("client_assertion_type") == _ASSERTION_TYPE:
            federation = self._tokens.federation(assertion)
            if federation not in app.federations:
                raise LoginError(
                    "invalid_client",
                    700213,
                    "No matching federated identity record found for presented assertion subject "
                    f"'{federation.subject}'. Check your federated identity credential Subject, "
                    "Audience and Issuer against the presented assertion. "
                    "https://learn.microsoft.com/entra/workload-id/workload-identity-federation",
                    UNAUTHORIZED,
                )
            return
        secret = form.get("client_secret")
        if secret is None:
            raise LoginError(
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or "
                "'client_secret'.",
                UNAUTHORIZED,
            )
        if not any(hmac.compare_digest(secret.encode(), one.encode()) for one in app.secrets):
            raise LoginError(
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is "
                "the client secret value, not the client secret ID, for a secret added to app "
                f"'{app.client_id}'.",
                UNAUTHORIZED,
            )
        if app.secrets_expired:
            raise LoginError(
                "invalid_client",
                7000222,
                "The provided client secret keys for app "
                f"'{app.client_id}' are expired. Visit the Azure portal to create new keys for your "
                "app: https://aka.ms/NewClientSecret, or consider using certificate credentials "
                "for added security: https://aka.ms/certCreds.",
                UNAUTHORIZED,
            )


def _refuse_in_bad(kinds: frozenset[FaultKind]) -> None:
    if FaultKind.THROTTLE in kinds:
        raise LoginError(_UNAVAILABLE, 90055, "There are too many incoming requests.", TOO_MANY)
    if FaultKind.INTERNAL in kinds:
        raise LoginError(
            _UNAVAILABLE, 90033, "A transient error has occurred. Please try again.", SERVER_ERROR
        )


def _audience(scope: str) -> str:
    # Clients add OpenID scopes, which mean nothing in this flow.
    wanted = [one for one in scope.split() if one.endswith(_DEFAULT)]
    if len(wanted) != 1:
        raise LoginError(
            "invalid_scope",
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must "
            "have a scope value with /.default suffixed to the resource identifier "
            "(application ID URI).",
        )
    resource = wanted[0].removesuffix(_DEFAULT)
    if resource not in RESOURCES:
        raise LoginError(
            "invalid_resource",
            500011,
            f"The resource principal named {resource} was not found in the tenant.",
        )
    return resource


def _unknown_app(client_id: str, tenant_id: str) -> LoginError:
    return LoginError(
        "unauthorized_client",
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'. "
        "This can happen if the application has not been installed by the administrator of the "
        "tenant or consented to by any user in the tenant. You may have sent your authentication "
        "request to the wrong tenant.",
    )


def _configuration(host: str, tenant_id: str) -> dict[str, Any]:
    base = f"https://{host}/{tenant_id}"
    return {
        "token_endpoint": f"{base}{TOKEN_PATH}",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    }
