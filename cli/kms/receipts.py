"""`coffer kms check-receipt`: verify a receipt of erasure, with the platform's public keys and nothing else.

Formats: protos/coffer/kms/v1/kms.proto, `RevocationReceipt`; JWS Compact Serialization (RFC 7515) with EdDSA
over Ed25519 (RFC 8037); keys as a JWKS (RFC 7517), named by their thumbprints (RFC 7638). This knows
nothing of the services: whoever holds a receipt can check it long after they are gone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cli.commands import AsJson, fail, show_facts, show_json
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE: Final = "coffer-revocation-receipt"
FORMAT: Final = "coffer/revocation-receipt/1"
ALGORITHM: Final = "EdDSA"

_FETCH_SECONDS: Final = 10.0
_MAX_BYTES: Final = 1024 * 1024
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class NotGenuineError(Exception):
    """The receipt is not what it says it is; the text says why."""


class CannotCheckError(Exception):
    """There is nothing to check, or nothing to check it with; the text says why."""


@dataclass(frozen=True, slots=True)
class Genuine:
    """A receipt that holds: which key signed it, and what it says."""

    kid: str
    statement: dict[str, Any]


def check_receipt(
    file: Annotated[
        Path, typer.Argument(help="The receipt: JSON as the API gave it, or the JWS alone.")
    ],
    *,
    keys: Annotated[
        str,
        typer.Option(
            "--keys",
            help="The platform's public keys, a JWKS: a file, or the URL of"
            " /.well-known/coffer-signing-keys (https, or http on this machine).",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Verify the signed receipt of an erased master-key version. Needs no account and no running stack.

    Proven by exit status 0: the holder of one of the given keys signed exactly this statement as a receipt
    of erasure, and nothing in it was changed since. NOT proven: that the statement is true, that the
    given keys are the platform's (keep a copy of the JWKS from before, or compare it with one you got
    another way), and whatever the receipt itself lists under "does not cover".

    Example: coffer kms check-receipt receipt-1.json --keys signing-keys.json

    Exit status: 0 genuine, 1 not genuine, 2 could not be checked: a file or the keys could not be read.
    """
    try:
        found = verify(_read(file), _load_keys(keys))
    except NotGenuineError as error:
        fail(f"NOT genuine: {error}", Exit.FAILED)
    except CannotCheckError as error:
        fail(f"could not be checked: {error}", Exit.USAGE)
    if as_json:
        show_json({"genuine": True, "kid": found.kid, "statement": found.statement})
    else:
        _show(found)


def verify(receipt: str, keys: Mapping[str, Any]) -> Genuine:
    """Check a receipt with a JWKS: JSON with `jws` and `statement`, the answer that holds it, or a JWS alone.

    Does no I/O. Raises NotGenuineError, CannotCheckError.
    """
    jws, shown = _parts(receipt)
    kid = _header(jws).get("kid")
    key = _find_key(keys, kid)
    try:
        done = jwt.PyJWS(algorithms=[ALGORITHM]).decode_complete(jws, key, algorithms=[ALGORITHM])
    except jwt.PyJWTError:
        raise NotGenuineError("the signature is not of this text and this key") from None
    if done["header"] != {"alg": ALGORITHM, "kid": kid, "typ": TYPE}:
        raise NotGenuineError("what was signed is not a receipt of erasure")
    signed = _parse(done["payload"])
    if signed.get("format") != FORMAT:
        raise CannotCheckError("the receipt is of a form that this release does not know")
    if shown is not None and _canonical(shown) != _canonical(signed):
        raise NotGenuineError("the readable statement is not the one that was signed")
    return Genuine(str(kid), signed)


def _parts(receipt: str) -> tuple[str, dict[str, Any] | None]:
    """The JWS, and the statement beside it where there is one."""
    text = receipt.strip()
    if not text.startswith("{"):
        return text, None
    document = _parse(text)
    inner = document.get("receipt", document)
    if not isinstance(inner, dict) or not isinstance(inner.get("jws"), str):
        raise CannotCheckError("the file holds no receipt: a member `jws` is missing")
    shown = inner.get("statement")
    if not isinstance(shown, dict):
        raise CannotCheckError("the file holds no receipt: a member `statement` is missing")
    return inner["jws"], shown


def _header(jws: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(jws)
    except jwt.PyJWTError:
        raise CannotCheckError("the file holds neither a receipt in JSON nor a JWS") from None


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


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise CannotCheckError(f"{file} is too large to be what is looked for")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotCheckError(f"{file} cannot be read ({type(error).__name__})") from None


def _load_keys(where: str) -> dict[str, Any]:
    parts = urlsplit(where)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return _parse(_fetch(where))
    if parts.scheme == "http":
        raise CannotCheckError("keys that come over http could be anybody's; use https or a file")
    return _parse(_read(Path(where)))


def _fetch(url: str) -> bytes:
    try:
        answer = httpx.get(url, timeout=_FETCH_SECONDS, follow_redirects=False)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotCheckError(f"{url} gives no keys ({type(error).__name__})") from None
    return answer.content


def _parse(text: str | bytes) -> dict[str, Any]:
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


def _canonical(document: dict[str, Any]) -> str:
    """As text, since Python takes 1, 1.0 and true for the same."""
    return json.dumps(document, sort_keys=True)


def _show(found: Genuine) -> None:
    statement = dict(found.statement)
    lists = {
        "covers": statement.pop("covers", None),
        "does not cover": statement.pop("does_not_cover", None),
    }
    typer.echo(f"genuine: signed with the key {found.kid}\n")
    show_facts((name.replace("_", " "), value) for name, value in statement.items())
    for title, sentences in lists.items():
        typer.echo(f"\n{title}:")
        for sentence in sentences or ():
            typer.echo(f"  - {sentence}")
