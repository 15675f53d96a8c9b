"""Temporary credentials of assumed roles, and who signed a request.

The session token holds the session itself, sealed under a key of the stand-in, as AWS's opaque
tokens do in effect. So nothing is stored, sessions outlive a restart of the stand-in, and an
expired session is told apart from an unknown one for ever.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from devcloud.aws.arn import parse_arn
from devcloud.aws.model import Caller, Role, User
from devcloud.aws.signature import AuthError, AuthProblem, read_authorization, verify

if TYPE_CHECKING:
    from devcloud.aws.cloud import Cloud
    from devcloud.http import HttpRequest

_NONCE_BYTES = 12
_AAD = b"devcloud aws session 1"
_ACCESS_KEY_BYTES = 8


@dataclass(frozen=True, slots=True)
class Session:
    """One assumed role. Times are in Unix seconds."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    role_arn: str
    name: str
    expires_at: float
    issued_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Whom an access key id belongs to, and the secret that has to have signed."""

    secret: str = field(repr=False)
    caller: Caller
    expires_at: float | None


def assumed_role_arn(role: Role, session_name: str) -> str:
    """The ARN AWS shows for a session: the role's path is left out."""
    arn = parse_arn(role.arn)
    name = arn.resource.rsplit("/", 1)[-1]
    return f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{name}/{session_name}"


class Sessions:
    """Issues sessions and authenticates requests by user or session credentials."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.lifetime_override: float | None = None
        """Seconds every new session lives whatever was asked for; None for AWS's rule."""
        self._ended_at = -1.0

    def end_all(self) -> None:
        """Every session there is has expired now, whatever its token says; new ones live."""
        self._ended_at = time.time()

    def issue(self, role: Role, name: str, seconds: float) -> tuple[Session, str]:
        """A new session and its token."""
        lifetime = seconds if self.lifetime_override is None else self.lifetime_override
        session = Session(
            access_key_id="ASIA" + secrets.token_hex(_ACCESS_KEY_BYTES).upper(),
            secret_access_key=secrets.token_urlsafe(30),
            role_arn=role.arn,
            name=name,
            # Whole seconds, because the XML answer's Expiration has no fraction.
            expires_at=float(int(time.time() + lifetime)),
            issued_at=time.time(),
        )
        return session, self._seal(session)

    def authenticate(self, request: HttpRequest, service: str) -> tuple[Caller, str]:
        """The caller and the region the request is signed for. Raises AuthError."""
        signed = read_authorization(request)
        claimed = self._claimed(signed.access_key_id, request.headers.get("x-amz-security-token"))
        now = datetime.now(UTC)
        verify(request, signed, secret=claimed.secret, service=service, now=now)
        if claimed.expires_at is not None and claimed.expires_at <= now.timestamp():
            raise AuthError(
                AuthProblem.EXPIRED, "The security token included in the request is expired"
            )
        return claimed.caller, signed.region

    def _claimed(self, access_key_id: str, token: str | None) -> _Claimed:
        if token is None:
            user = self._cloud.user(access_key_id)
            if user is None:
                raise _unknown()
            return _Claimed(user.secret_access_key, _as_caller(user), None)
        session = self._open(token)
        if session.access_key_id != access_key_id:
            raise _unknown()
        caller = self._session_caller(session)
        ended = session.issued_at <= self._ended_at
        expires_at = self._ended_at if ended else session.expires_at
        return _Claimed(session.secret_access_key, caller, expires_at)

    def _session_caller(self, session: Session) -> Caller:
        # Looked up at each request, so that a changed permission takes effect at once.
        role = self._cloud.role(session.role_arn)
        if role is None:
            raise _unknown()
        return Caller(
            arn=assumed_role_arn(role, session.name),
            principal=role.arn,
            account=parse_arn(role.arn).account,
            user_id=f"{role.role_id}:{session.name}",
            actions=role.actions,
            resources=role.resources,
            is_session=True,
        )

    def _seal(self, session: Session) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(asdict(session)).encode()
        sealed = AESGCM(self._cloud.session_key).encrypt(nonce, plain, _AAD)
        return base64.b64encode(nonce + sealed).decode()

    def _open(self, token: str) -> Session:
        try:
            raw = base64.b64decode(token, validate=True)
            plain = AESGCM(self._cloud.session_key).decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _AAD
            )
        except (ValueError, InvalidTag) as error:
            raise _unknown() from error
        return Session(**json.loads(plain))


def _as_caller(user: User) -> Caller:
    return Caller(
        arn=user.arn,
        principal=user.arn,
        account=parse_arn(user.arn).account,
        user_id=user.user_id,
        actions=user.actions,
        resources=("*",),
        is_session=False,
    )


def _unknown() -> AuthError:
    return AuthError(AuthProblem.UNKNOWN, "The security token included in the request is invalid.")
