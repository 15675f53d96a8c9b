"""The built-in issuer of admin tokens, for development: ES256, a key of the data directory.

Whoever can read that key file is owner of every tenant of the stack; a deployment configures its
own identity provider's JWKS instead.
"""

import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm

from cli.local.files import write_private

ISSUER = "https://issuer.coffer.localhost"
AUDIENCE = "coffer-admin"
ALGORITHM = "ES256"
ADMIN_SECONDS = 24 * 3600
STEP_UP_SECONDS = 300
KID_LENGTH = 16


class DevelopmentIssuer:
    """Signs admin and step-up tokens as API.md section 2 wants them."""

    def __init__(self, key_file: Path) -> None:
        """Only remembers where the key is; each call reads it."""
        self._key_file = key_file

    def admin(
        self,
        tenant_id: str,
        *,
        role: str = "owner",
        subject: str = "dev-owner",
        seconds: int = ADMIN_SECONDS,
    ) -> str:
        """A token for `/admin` on one tenant, valid for `seconds` from now."""
        return self.sign({"sub": subject, "tenant_id": tenant_id, "role": role}, seconds)

    def step_up(
        self,
        tenant_id: str,
        *,
        role: str = "owner",
        subject: str = "dev-owner",
        seconds: int = STEP_UP_SECONDS,
    ) -> str:
        """A token that says `subject` has just authenticated again; works once."""
        claims = {
            "sub": subject,
            "tenant_id": tenant_id,
            "role": role,
            "purpose": "step_up",
            "auth_time": int(time.time()),
        }
        return self.sign(claims, seconds)

    def write_jwks(self, file: Path) -> None:
        """Write the public key as a JWKS (RFC 7517), whose `kid` is in every token's header."""
        write_private(file, json.dumps({"keys": [self._public_jwk()]}))

    def sign(self, claims: dict[str, Any], seconds: int) -> str:
        """A token with exactly these claims and the registered ones; claims given here win."""
        now = int(time.time())
        registered = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(
            registered | claims,
            self._key_file.read_bytes(),
            algorithm=ALGORITHM,
            headers={"kid": self._public_jwk()["kid"]},
        )

    def _public_jwk(self) -> dict[str, Any]:
        algorithm = ECAlgorithm(ECAlgorithm.SHA256)
        key = algorithm.prepare_key(self._key_file.read_bytes())
        public = key.public_key() if hasattr(key, "public_key") else key
        jwk: dict[str, Any] = ECAlgorithm.to_jwk(public, as_dict=True)
        # RFC 7638: a key's name that follows from the key.
        canonical = json.dumps({m: jwk[m] for m in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        kid = hashlib.sha256(canonical.encode()).hexdigest()[:KID_LENGTH]
        return jwk | {"kid": kid, "alg": ALGORITHM, "use": "sig"}
