"""The wire contract's forms, written down once more for the tests: what every answer has to look like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HEX = re.compile(r"[0-9a-f]+")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
OPTIONAL_ERROR_MEMBERS = {"fields", "reason", "hint", "retry_after", "provider"}

CREATED = {
    "id": UUID,
    "name": str,
    "shortcode_name": str,
    "description": None,
    "base_environment": "production",
    "environment_count": 1,
    "secret_type": "string",
    "collection_id": None,
    "expires_at": None,
    "strict_expiry_enforcement": False,
    "value_version": 1,
    "created_at": TIME,
}
"""The 201 of a string secret made of a name and a value, whose nulls are there."""
ROW = CREATED | {"updated_at": TIME}
"""The same secret in a list."""
ENVIRONMENT = {
    "environment_name": "production",
    "value_version": 1,
    "updated_at": TIME,
    "expires_at_override": None,
}


def differences(form: Any, found: Any, at: str = "$") -> list[str]:
    """Where `found` is not of this form: a pattern, a type, the exact value, or the same inside.

    An object must have exactly the form's members; a list exactly its items.
    """
    if isinstance(form, re.Pattern):
        fits = isinstance(found, str) and form.fullmatch(found) is not None
        return [] if fits else [f"{at} is {found!r}, not {form.pattern}"]
    if isinstance(form, type):
        fits = type(found) is form
        return [] if fits else [f"{at} is {found!r}, not {form.__name__}"]
    if isinstance(form, dict) and isinstance(found, dict):
        faults = [f"{at}.{name} is missing" for name in form.keys() - found.keys()]
        faults += [f"{at}.{name} is not documented" for name in found.keys() - form.keys()]
        for name in form.keys() & found.keys():
            faults += differences(form[name], found[name], f"{at}.{name}")
        return faults
    if isinstance(form, list) and isinstance(found, list) and len(form) == len(found):
        pairs = enumerate(zip(form, found, strict=True))
        return [fault for n, pair in pairs for fault in differences(*pair, f"{at}[{n}]")]
    # 1 == True in Python, and not in JSON.
    same = type(form) is type(found) and form == found
    return [] if same else [f"{at} is {found!r}, not {form!r}"]


def assert_form(form: Any, found: Any) -> None:
    """Fail naming every difference."""
    faults = differences(form, found)
    assert not faults, "\n".join(faults)


def data_of(answer: httpx.Response, status: int = 200) -> Any:
    """The `data` of a `/v1` success that is no list, its frame checked."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert_form({"request_id": answer.headers["x-request-id"]}, body["meta"])
    assert body.keys() == {"data", "meta"}
    assert_json(answer)
    return body["data"]


def error_of(answer: httpx.Response, status: int, code: str) -> Any:
    """The `error` of an answer, which must be this one in the one documented shape."""
    assert (answer.status_code, answer.text) == (status, answer.text), answer.text
    assert_json(answer)
    body = answer.json()
    assert body.keys() == {"error"}, answer.text
    error = body["error"]
    assert error["type"] == code, answer.text
    assert {"type", "message", "request_id"} <= error.keys(), answer.text
    assert error.keys() - {"type", "message", "request_id"} <= OPTIONAL_ERROR_MEMBERS, answer.text
    assert error["message"].strip(), answer.text
    assert error["request_id"] == answer.headers["x-request-id"], answer.text
    for path, faults in error.get("fields", {}).items():
        assert path, answer.text
        assert faults, answer.text
        assert all(isinstance(fault, str) and fault for fault in faults), answer.text
    return error


def assert_json(answer: httpx.Response) -> None:
    """The answer says that it is JSON, and has the request id in its head."""
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert UUID.fullmatch(answer.headers["x-request-id"])
