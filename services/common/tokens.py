"""Admin JWTs and step-up tokens (RFC 7519), checked against a JWKS (RFC 7517) with PyJWT.

Only RS256, ES256 and EdDSA are taken, whatever the token's header says; `iss`, `aud`, `exp` and `nbf` are
checked. Not promised: that a token was not revoked by its issuer; tokens are to be short-lived.
"""

from __future__ import annotations

import asyncio
import json
import time
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from uuid import UUID

import httpx
import jwt
import structlog

from services.common.errors import StepUpExpiredError, StepUpRequiredError
from services.common.identity import StepUp

if TYPE_CHECKING:
    from pathlib import Path

    from services.common.identity import AdminIdentity
    from services.common.settings import Reader

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
ROLES: Final = ("owner", "admin", "viewer")
STEP_UP_PURPOSE: Final = "step_up"
CLOCK_LEEWAY_SECONDS: Final = 30
_RELOAD_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 5.0
"""Between two tries to load the keys, whatever tokens come."""
_TRUSTED_SECONDS: Final = 3600.0
"""Keys that could not be loaded again for so long are not trusted any more."""
_FETCH_SECONDS: Final = 5.0
_MAX_ID: Final = 200
_END_OF_TIME: Final = 253_402_300_800
"""The year 10000, in seconds since 1970: what is beyond is no moment."""
_UNREADABLE: Final = (jwt.PyJWTError, ValueError, TypeError, OverflowError)
"""What reading a token raises: PyJWT minds no number without end."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Whose tokens are taken. Exactly one of `jwks_file` and `jwks_url` is set."""

    issuer: str
    audience: str
    jwks_file: Path | None
    jwks_url: str | None

    @classmethod
    def read(cls, reader: Reader) -> TokenSettings:
        """From COFFER_ADMIN_JWT_ISSUER, _AUDIENCE and COFFER_ADMIN_JWKS_FILE or _URL."""
        url = reader.optional_https("COFFER_ADMIN_JWKS_URL")
        return cls(
            issuer=reader.text("COFFER_ADMIN_JWT_ISSUER"),
            audience=reader.text("COFFER_ADMIN_JWT_AUDIENCE"),
            jwks_file=None
            if reader.optional("COFFER_ADMIN_JWKS_URL")
            else reader.path("COFFER_ADMIN_JWKS_FILE"),
            jwks_url=url,
        )


@dataclass(frozen=True, slots=True)
class AdminClaims:
    """What a valid admin JWT says."""

    tenant_id: UUID
    subject: str
    role: str


class KeySource(Protocol):
    """Where the issuer's public keys come from."""

    async def load(self) -> dict[str, Any]:
        """The JWKS document. Raises OSError, ValueError or httpx.HTTPError."""
        ...


class FileKeys:
    """A JWKS in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> dict[str, Any]:
        """Read the file."""
        document: dict[str, Any] = json.loads(await asyncio.to_thread(self._path.read_bytes))
        return document


class UrlKeys:
    """A JWKS behind https (or http on loopback). Redirects are not followed."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def load(self) -> dict[str, Any]:
        """Fetch the document."""
        async with httpx.AsyncClient(timeout=_FETCH_SECONDS, follow_redirects=False) as client:
            answer = await client.get(self._url)
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
            return document


class TokenVerifier:
    """Verifies tokens of one issuer; keeps its public keys and reloads them when they change."""

    def __init__(self, settings: TokenSettings, source: KeySource | None = None) -> None:
        self._settings = settings
        if source is None:
            file, url = settings.jwks_file, settings.jwks_url
            source = FileKeys(file) if file is not None else UrlKeys(url or "")
        self._source = source
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._loaded_at = float("-inf")
        self._tried_at = float("-inf")
        self._reloading: asyncio.Task[None] | None = None

    async def admin(self, token: str) -> AdminClaims | None:
        """The claims of an admin JWT, or None for one that is not valid for any reason."""
        claims = await self._claims(token, verify_exp=True)
        if claims is None or "purpose" in claims:
            return None
        subject, role = _id(claims.get("sub")), claims.get("role")
        tenant_id = _uuid(claims.get("tenant_id"))
        if subject is None or tenant_id is None:
            return None
        return AdminClaims(tenant_id, subject, role) if role in ROLES else None

    async def step_up(
        self, token: str | None, admin: AdminClaims | AdminIdentity, window_seconds: int
    ) -> StepUp:
        """A step-up token of the same subject and tenant, no older than the window.

        Raises StepUpRequiredError with reason `missing` or `invalid`, StepUpExpiredError when too old.
        Not checked here: whether it was used before; that is decided where it is consumed.
        """
        if not token:
            raise StepUpRequiredError(
                "This endpoint needs a step-up token in header X-KnoxCall-StepUp.", reason="missing"
            )
        claims = await self._claims(token, verify_exp=False)
        authenticated_at = _auth_time(claims, admin) if claims else None
        if claims is None or authenticated_at is None:
            raise StepUpRequiredError("The step-up token is not valid.", reason="invalid")
        if time.time() - authenticated_at > window_seconds:
            raise StepUpExpiredError(
                f"The step-up token is older than {window_seconds} seconds; authenticate again."
            )
        expires = claims["exp"]
        if time.time() > expires + CLOCK_LEEWAY_SECONDS:
            raise StepUpRequiredError("The step-up token is not valid.", reason="invalid")
        moment = datetime.fromtimestamp(authenticated_at, UTC)
        return StepUp(claims["jti"], moment + timedelta(seconds=window_seconds))

    async def _claims(self, token: str, *, verify_exp: bool) -> dict[str, Any] | None:
        try:
            header = jwt.get_unverified_header(token)
        except _UNREADABLE:
            return None
        key = await self._key(header.get("kid"))
        if key is None:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=CLOCK_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "verify_exp": verify_exp},
            )
        except _UNREADABLE:
            return None
        return claims if _is_moment(claims.get("exp")) else None

    async def _key(self, kid: str | None) -> jwt.PyJWK | None:
        """The issuer's key. Nobody waits for a reload but who needs a key that is not here."""
        now = time.monotonic()
        if now - self._loaded_at > _TRUSTED_SECONDS:
            self._keys = {}  # an issuer that has been away for so long may have turned its keys
        known = self._keys.get(kid)
        stale = now - self._loaded_at > _RELOAD_SECONDS
        if (known is None or stale) and now - self._tried_at > _RETRY_SECONDS:
            reload = self._begin_reload()
            if known is None:
                await asyncio.shield(reload)
        elif known is None and self._reloading is not None:
            await asyncio.shield(self._reloading)
        return known or self._keys.get(kid)

    def _begin_reload(self) -> asyncio.Task[None]:
        if self._reloading is None:
            self._reloading = asyncio.create_task(self._reload(), name="reload issuer keys")
            self._reloading.add_done_callback(self._reloaded)
        return self._reloading

    def _reloaded(self, _task: asyncio.Task[None]) -> None:
        self._reloading = None
        self._tried_at = time.monotonic()

    async def _reload(self) -> None:
        try:
            document = await self._source.load()
            keys = [key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id]
        except (OSError, ValueError, jwt.PyJWTError, httpx.HTTPError, AttributeError) as error:
            _log.warning("jwks_not_loaded", kind=type(error).__name__)
            return
        self._keys = {key.key_id: key for key in keys}
        if len(keys) == 1:
            self._keys[None] = keys[0]  # a token may leave `kid` out when there is no choice
        self._loaded_at = time.monotonic()


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _id(value: object) -> str | None:
    """A `sub` or `jti`, which are stored and shown: no control character, nothing but Unicode text."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID:
        return None
    return None if any(unicodedata.category(one) in {"Cc", "Cs"} for one in value) else value


def _is_moment(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= cast("float", value) < _END_OF_TIME


def _auth_time(claims: dict[str, Any], admin: AdminClaims | AdminIdentity) -> float | None:
    """`auth_time` of a step-up token that belongs to `admin`; None when anything else is amiss."""
    moment = claims.get("auth_time")
    good = (
        claims.get("purpose") == STEP_UP_PURPOSE
        and claims.get("sub") == admin.subject
        and _uuid(claims.get("tenant_id")) == admin.tenant_id
        and _id(claims.get("jti")) is not None
        and _is_moment(moment)
        and cast("float", moment) <= time.time() + CLOCK_LEEWAY_SECONDS
    )
    return float(cast("float", moment)) if good else None
