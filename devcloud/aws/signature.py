"""Signature Version 4, verified with code of our own, not with the signer of the SDK under test.

Source: AWS, "Create a signed AWS API request" (IAM User Guide). Only header authentication and
AWS4-HMAC-SHA256 are served: no presigned URLs, no SigV4a, no chunked payload signing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

if TYPE_CHECKING:
    from devcloud.http import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
CLOCK_SKEW_SECONDS = 15 * 60
_SCOPE_PARTS = 5
_TERMINATOR = "aws4_request"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<credential>[^, ]+), *"
    r"SignedHeaders=(?P<headers>[^, ]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


class AuthProblem(StrEnum):
    """Why a request is not from whom it claims; each protocol has its own code for it."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    SIGNATURE = "signature"


class AuthError(Exception):
    """The request could not be authenticated."""

    def __init__(self, problem: AuthProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message


@dataclass(frozen=True, slots=True)
class Signed:
    """The claims of an Authorization header, not yet verified."""

    access_key_id: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str = field(repr=False)


def read_authorization(request: HttpRequest) -> Signed:
    """Parse the header. Raises AuthError MISSING or INCOMPLETE."""
    value = request.headers.get("authorization")
    if not value:
        raise AuthError(AuthProblem.MISSING, "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(value.strip())
    scope = match["credential"].split("/") if match else []
    if match is None or len(scope) != _SCOPE_PARTS or scope[4] != _TERMINATOR:
        raise AuthError(AuthProblem.INCOMPLETE, "Authorization header is not a SigV4 header")
    return Signed(
        access_key_id=scope[0],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        headers=tuple(match["headers"].split(";")),
        signature=match["signature"],
    )


def verify(
    request: HttpRequest, signed: Signed, *, secret: str, service: str, now: datetime
) -> None:
    """Check service, date, signed headers and signature. Raises AuthError."""
    if signed.service != service:
        raise AuthError(
            AuthProblem.SIGNATURE, f"Credential should be scoped to correct service: '{service}'."
        )
    _check_date(request, signed, now)
    _check_signed_headers(request, signed)
    canonical = _canonical_request(request, signed.headers)
    if not hmac.compare_digest(_signature(request, signed, secret, canonical), signed.signature):
        raise AuthError(
            AuthProblem.SIGNATURE,
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def _check_date(request: HttpRequest, signed: Signed, now: datetime) -> None:
    text = request.headers.get("x-amz-date", "")
    try:
        date = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise AuthError(AuthProblem.INCOMPLETE, "X-Amz-Date is missing or malformed") from error
    if text[:8] != signed.date:
        raise AuthError(AuthProblem.SIGNATURE, "Date in Credential scope does not match X-Amz-Date")
    if abs((now - date).total_seconds()) > CLOCK_SKEW_SECONDS:
        raise AuthError(AuthProblem.SIGNATURE, f"Signature expired or not yet current: {text}")


def _check_signed_headers(request: HttpRequest, signed: Signed) -> None:
    must = {"host"} | {name for name in request.headers if name.startswith("x-amz-")}
    missing = must - set(signed.headers)
    if missing or any(name not in request.headers for name in signed.headers):
        raise AuthError(AuthProblem.SIGNATURE, "Host and all x-amz- headers must be signed")


def _canonical_request(request: HttpRequest, names: tuple[str, ...]) -> str:
    path, _, query = request.target.partition("?")
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    lines = [
        request.method,
        quote(path or "/", safe="/-_.~%"),
        "&".join(f"{name}={value}" for name, value in pairs),
    ]
    lines += [f"{name}:{' '.join(request.headers[name].split())}" for name in names]
    lines += ["", ";".join(names), hashlib.sha256(request.body).hexdigest()]
    return "\n".join(lines)


def _signature(request: HttpRequest, signed: Signed, secret: str, canonical: str) -> str:
    scope = (signed.date, signed.region, signed.service, _TERMINATOR)
    to_sign = "\n".join(
        (
            ALGORITHM,
            request.headers["x-amz-date"],
            "/".join(scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
