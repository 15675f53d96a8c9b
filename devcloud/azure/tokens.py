"""Access tokens and federated assertions: JSON Web Tokens, signed with a key of the stand-in.

Nothing is stored: a token carries what the vault checks. Real ones are signed with RS256, which
their clients may not look at.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt

from devcloud.azure.errors import UNAUTHORIZED, LoginError
from devcloud.azure.model import Caller, Federation

if TYPE_CHECKING:
    from devcloud.azure.cloud import Cloud

DEFAULT_LIFETIME_SECONDS = 3599
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
_ALGORITHM = "HS256"
_INVALID_CLIENT = "invalid_client"


class TokenRefusedError(Exception):
    """A token the vault does not take; the text is the vault's."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token and for how many seconds it is good."""

    token: str = field(repr=False)
    seconds: int


class Tokens:
    """Issues and reads tokens. `lifetime_seconds` applies to those issued from then on."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.lifetime_seconds = DEFAULT_LIFETIME_SECONDS

    def issue(self, caller: Caller, audience: str) -> Issued:
        """A token of this caller for one resource."""
        now = time.time()
        seconds = self.lifetime_seconds
        claims = {
            "aud": audience,
            # A managed identity's token may serve as an assertion; v2 names issuer and subject so.
            "iss": _issuer(caller.tenant_id, audience),
            "sub": caller.object_id,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "appid": caller.client_id,
            "oid": caller.object_id,
            "tid": caller.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return Issued(self._sign(claims), seconds)

    def read(self, token: str, *, audience: str, tenant_id: str) -> Caller:
        """Whom a token names. Raises TokenRefusedError with Key Vault's words."""
        claims = self._claims(token)
        if claims is None:
            raise TokenRefusedError("AKV10000: Request is missing a Bearer or PoP token.")
        if claims["aud"] != audience:
            raise TokenRefusedError(
                f"AKV10022: Invalid audience. Expected {audience}, found: {claims['aud']}."
            )
        if claims["tid"] != tenant_id:
            raise TokenRefusedError(
                f"AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{tenant_id}/, "
                f"found {claims['iss']}."
            )
        if claims["exp"] <= time.time() or claims["iat"] < self._cloud.tokens_since:
            raise TokenRefusedError("[TokenExpired] Error validating token: 'S2S12086'.")
        return Caller(claims["appid"], claims["oid"], claims["tid"])

    def assertion(self, federation: Federation, *, seconds: float) -> str:
        """What a cluster's token issuer hands to a workload; past its end where negative."""
        now = time.time()
        return self._sign(
            {
                "aud": EXCHANGE_AUDIENCE,
                "iss": federation.issuer,
                "sub": federation.subject,
                "iat": now,
                "exp": now + seconds,
            }
        )

    def federation(self, assertion: str) -> Federation:
        """Whom an assertion speaks for. Raises LoginError."""
        claims = self._claims(assertion)
        if claims is None:
            raise LoginError(
                _INVALID_CLIENT, 50027, "JWT token is invalid or malformed.", UNAUTHORIZED
            )
        if claims["aud"] != EXCHANGE_AUDIENCE:
            raise LoginError(
                _INVALID_CLIENT,
                700212,
                "No matching federated identity record found for presented assertion audience "
                f"'{claims['aud']}'.",
                UNAUTHORIZED,
            )
        if claims["exp"] <= time.time():
            raise LoginError(
                _INVALID_CLIENT,
                700024,
                "Client assertion is not within its valid time range.",
                UNAUTHORIZED,
            )
        return Federation(claims["iss"], claims["sub"])

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._cloud.token_key, _ALGORITHM)

    def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            return jwt.decode(
                token,
                self._cloud.token_key,
                algorithms=[_ALGORITHM],
                # Time and audience have refusals of their own; see `read` and `federation`.
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
        except jwt.InvalidTokenError:
            return None


def _issuer(tenant_id: str, audience: str) -> str:
    if audience == EXCHANGE_AUDIENCE:
        return f"https://login.microsoftonline.com/{tenant_id}/v2.0"
    return f"https://sts.windows.net/{tenant_id}/"
