"""Finding long-lived cloud credentials in a request, whatever else is wrong with it. Pure.

Looked for are member names, at any depth, and values that are recognisable wherever they stand. Not promised:
that every credential is found; a password in a field that may hold any text looks like any text.
"""

from __future__ import annotations

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
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_SERVICE_ACCOUNT: Final = re.compile(r'"type"\s*:\s*"service_account"|"private_key(?:_id)?"\s*:')
_AZURE_SECRET: Final = re.compile(r"[A-Za-z0-9~._\-]{30,64}")
_MAX_NAME: Final = 64


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

    Azure makes 34 to 44 characters of mixed case with digits, mostly with a `~`; names of variables are in
    capitals.
    """
    if not _AZURE_SECRET.fullmatch(value):
        return False
    mixed = any(c.islower() for c in value) and any(c.isdigit() for c in value)
    return "~" in value or mixed


def _recognisable(text: str) -> bool:
    if _ACCESS_KEY_ID.search(text) or _PRIVATE_KEY.search(text) or _SERVICE_ACCOUNT.search(text):
        return True
    if not text.lstrip().startswith("{"):
        return False
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    # A document in a string is searched like one in the body.
    return any(True for _ in _find(document, "document"))
