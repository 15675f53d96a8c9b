"""Finding long-lived cloud credentials in a request, whatever else is wrong with it. Pure.

Looked for are member names, at any depth, and values that are recognisable wherever they stand. Not promised:
that every credential is found; a password in a field that may hold any text looks like any text.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final

from services.common.errors import StaticCredentialsRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES: Final = frozenset(
    {
        "accesskey",
        "accesskeyid",
        "awsaccesskeyid",
        "secretaccesskey",
        "awssecretaccesskey",
        "sessiontoken",
        "awssessiontoken",
        "serviceaccountjson",
        "serviceaccountkey",
        "credentialsjson",
        "privatekey",
        "clientsecret",
        "connectionstring",
        "password",
    }
)
"""The contract's names, lower case, without `-` and `_`."""
ENV_VAR_FIELD: Final = "clientsecretenvvar"

_ACCESS_KEY_ID: Final = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,124}(?![A-Za-z0-9])")
_PRIVATE_KEY: Final = re.compile(r"(?i)-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
# `-----BEGIN ` in base64, as it is where the armor starts the text.
_BASE64_ARMOR: Final = re.compile(
    r"LS0tLS1CRUdJTi[A-Za-z0-9+/_-]{2,}|LS0tLS1iZWdpbi[A-Za-z0-9+/_-]{2,}"
)
_ARMOR_BYTES: Final = 48
_SERVICE_ACCOUNT: Final = re.compile(r'"type"\s*:\s*"service_account"|"private_key(?:_id)?"\s*:')
_AZURE_SECRET: Final = re.compile(r"[!-~]{30,64}")
_ENV_VAR: Final = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_MAX_NAME: Final = 64
_MIXED: Final = 2
"""Kinds of characters (small, capital, digit, punctuation) from which on a text looks random."""


def refuse(body: object) -> None:
    """Raise StaticCredentialsRejectedError naming every field that holds one, never its value."""
    found = dict.fromkeys(_find(body, ""))
    if not found:
        return
    fault = "static credentials are not accepted; grant access to the platform's principal instead"
    raise StaticCredentialsRejectedError(
        f"Static credentials are not accepted: {', '.join(found)}.",
        fields={path: [fault] for path in found},
        hint="GET /admin/tenant-kms/setup tells which principal to trust.",
    )


def _find(value: object, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "service_account":
            yield path or "body"
        for name, member in value.items():
            inner = f"{path}.{safe_name(name)}" if path else safe_name(name)
            plain = name.lower().replace("-", "").replace("_", "")
            if plain in NAMES or _recognisable(name):
                yield inner
            elif isinstance(member, str):
                if _recognisable(member) or (
                    plain == ENV_VAR_FIELD and looks_like_azure_secret(member)
                ):
                    yield inner
            else:
                yield from _find(member, inner)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _find(member, f"{path}[{index}]")
    elif isinstance(value, str) and _recognisable(value):
        yield path


def safe_name(name: str) -> str:
    """A member's name for a path: cut short, and hidden where it is itself a credential."""
    return "[redacted]" if _recognisable(name) else name[:_MAX_NAME]


def looks_like_azure_secret(value: str) -> bool:
    """Whether this is the value of an Azure client secret and not the name of a variable.

    Azure made 44 characters of base64, then 32 with any punctuation, and makes 40 of mixed case with digits,
    mostly with a `~`; names of variables are in capitals, digits and `_`.
    """
    if not _AZURE_SECRET.fullmatch(value) or _ENV_VAR.fullmatch(value):
        return False
    kinds = (str.islower, str.isupper, str.isdigit, _is_punctuation)
    return "~" in value or sum(any(map(kind, value)) for kind in kinds) >= _MIXED


def _is_punctuation(character: str) -> bool:
    return not character.isalnum() and character != "_"


def _recognisable(text: str) -> bool:
    if _ACCESS_KEY_ID.search(text) or _PRIVATE_KEY.search(text) or _SERVICE_ACCOUNT.search(text):
        return True
    if any(_PRIVATE_KEY.match(_decoded(found[0])) for found in _BASE64_ARMOR.finditer(text)):
        return True
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        # A document in a string is searched like one in the body.
        return any(True for _ in _find(json.loads(text), "document"))
    except ValueError:
        return False
    except RecursionError:
        return True  # nobody nests so deep by accident: refused, as what it hides cannot be seen


def _decoded(text: str) -> str:
    """The beginning of base64, also of its URL form, as text."""
    begin = text[:_ARMOR_BYTES].translate(str.maketrans("-_", "+/"))
    begin = begin[: len(begin) // 4 * 4]
    return base64.b64decode(begin).decode("latin-1")
