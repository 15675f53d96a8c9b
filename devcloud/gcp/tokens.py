"""Access tokens: made, and recognised again, without being stored.

A token is sealed under the world's token key and says whose it is, until when and for what. One
that was given out before its account's tokens were expired, or whose account is gone, is no token.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from devcloud.gcp.errors import not_logged_in, scope_insufficient
from devcloud.gcp.model import Caller

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devcloud.gcp.cloud import Cloud
    from devcloud.gcp.model import ServiceAccount

PREFIX = "ya29.c."
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
DEFAULT_SECONDS = 3600
_NONCE_BYTES = 12
_BEARER = "bearer "


class Tokens:
    """Issues and reads tokens. `lifetime_override` is how long every new one lives, in seconds."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.lifetime_override: float | None = None

    def issue(
        self, account: ServiceAccount, scopes: Iterable[str], seconds: float
    ) -> tuple[str, float]:
        """A token and the Unix time at which it runs out."""
        if self.lifetime_override is not None:
            seconds = self.lifetime_override
        expires_at = time.time() + seconds
        claims = {
            "email": account.email,
            "epoch": account.epoch,
            "id": account.unique_id,
            "exp": expires_at,
            "scopes": list(scopes),
        }
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._cloud.token_key).encrypt(
            nonce, json.dumps(claims).encode(), None
        )
        return PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("="), expires_at

    def caller(self, authorization: str | None, service: str, scopes: Iterable[str]) -> Caller:
        """Who an Authorization header speaks for, with at least one of these scopes.

        Raises GoogleError UNAUTHENTICATED, or PERMISSION_DENIED for a token of other scopes.
        """
        if not authorization or not authorization.lower().startswith(_BEARER):
            raise not_logged_in("CREDENTIALS_MISSING", service)
        claims = self._claims(authorization[len(_BEARER) :])
        if claims is None:
            raise not_logged_in("ACCESS_TOKEN_TYPE_UNSUPPORTED", service)
        account = self._cloud.account(str(claims["email"]))
        if account is None or account.unique_id != claims["id"]:
            raise not_logged_in("ACCOUNT_STATE_INVALID", service)
        if account.epoch != claims["epoch"] or float(claims["exp"]) <= time.time():
            raise not_logged_in("ACCESS_TOKEN_EXPIRED", service)
        if not set(scopes) & set(claims["scopes"]):
            raise scope_insufficient(service)
        return Caller(account.email, tuple(claims["scopes"]))

    def _claims(self, token: str) -> dict[str, Any] | None:
        body = token.removeprefix(PREFIX)
        try:
            sealed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            opened = AESGCM(self._cloud.token_key).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None
            )
        except (binascii.Error, InvalidTag, ValueError):
            return None
        claims: dict[str, Any] = json.loads(opened)
        return claims
