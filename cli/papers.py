"""Papers that the platform signed, checked with its public keys and nothing else.

Formats: JWS Compact Serialization (RFC 7515) with EdDSA over Ed25519 (RFC 8037); keys as a JWKS (RFC 7517),
named by their thumbprints (RFC 7638). This knows nothing of the services: whoever holds a paper can check it
long after they are gone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cli.reaching import is_private, uses_proxies

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM: Final = "EdDSA"

_FETCH_SECONDS: Final = 10.0
_MAX_BYTES: Final = 1024 * 1024


class NotGenuineError(Exception):
    """The paper is not what it says it is; the text says why."""


class CannotCheckError(Exception):
    """There is nothing to check, or nothing to check it with; the text says why."""


def verify_jws(
    jws: str, keys: Mapping[str, Any], kind: str, what: str
) -> tuple[str, dict[str, Any]]:
    """The name of the key that signed, and the statement, of a paper whose `typ` is `kind`.

    `what` calls the paper by name in errors. Does no I/O. Raises NotGenuineError, CannotCheckError.
    """
    kid = _header(jws).get("kid")
    key = _find_key(keys, kid)
    try:
        done = jwt.PyJWS(algorithms=[ALGORITHM]).decode_complete(jws, key, algorithms=[ALGORITHM])
    except jwt.PyJWTError:
        raise NotGenuineError("the signature is not of this text and this key") from None
    if done["header"] != {"alg": ALGORITHM, "kid": kid, "typ": kind}:
        raise NotGenuineError(f"what was signed is not {what}")
    return str(kid), parse(done["payload"])


def _header(jws: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(jws)
    except jwt.PyJWTError:
        raise CannotCheckError("the file holds neither a paper in JSON nor a JWS") from None


def _find_key(keys: Mapping[str, Any], kid: object) -> Ed25519PublicKey:
    listed = keys.get("keys")
    if not isinstance(listed, list):
        raise CannotCheckError("the keys are not a JWKS: a member `keys` is missing")
    for entry in listed:
        if isinstance(entry, dict) and isinstance(kid, str) and entry.get("kid") == kid:
            return _public_key(entry, kid)
    raise NotGenuineError("none of the given keys signed it")


def _public_key(entry: Mapping[str, Any], kid: str) -> Ed25519PublicKey:
    x = entry.get("x")
    if entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519" or not isinstance(x, str):
        raise CannotCheckError(f"the key {kid} is not an Ed25519 key")
    # RFC 7638: the name is made of the key, so that one cannot go by the name of another.
    facts = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(facts).digest()).rstrip(b"=").decode()
    if thumbprint != kid:
        raise NotGenuineError(f"the key given as {kid} is another one")
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))
    except (ValueError, binascii.Error):
        raise CannotCheckError(f"the key {kid} is damaged") from None


def read(file: Path) -> str:
    """The text of a small file. Raises CannotCheckError."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise CannotCheckError(f"{file} is too large to be what is looked for")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotCheckError(f"{file} cannot be read ({type(error).__name__})") from None


def load_keys(where: str) -> dict[str, Any]:
    """A JWKS: of a file, or of a URL with https, or http on this machine. Raises CannotCheckError."""
    if is_private(where):
        return parse(_fetch(where))
    if where.lower().startswith("http:"):
        raise CannotCheckError("keys that come over http could be anybody's; use https or a file")
    return parse(read(Path(where)))


def _fetch(url: str) -> bytes:
    try:
        answer = httpx.get(
            url, timeout=_FETCH_SECONDS, follow_redirects=False, trust_env=uses_proxies(url)
        )
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotCheckError(f"{url} gives no keys ({type(error).__name__})") from None
    return answer.content


def parse(text: str | bytes) -> dict[str, Any]:
    """A JSON object. A member given twice is refused: two readers could see two statements."""
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CannotCheckError("what should be a JSON object is none")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def canonical(document: dict[str, Any]) -> str:
    """As text, since Python takes 1, 1.0 and true for the same."""
    return json.dumps(document, sort_keys=True)
