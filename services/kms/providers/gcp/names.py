"""Resource names of keys and their versions. Pure.

Source: Cloud KMS resource hierarchy. A project may be named by its id or by its number.
"""

from __future__ import annotations

import re
from typing import Final

_VERSION: Final = re.compile(
    r"(?P<key>projects/(?P<project>[^/]+)/(?P<rest>locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+))"
    r"(?:/cryptoKeyVersions/(?P<number>[1-9][0-9]{0,18}))?"
)


def key_of(name: str) -> str:
    """The key that a key's or a version's name is about; the name itself where it is neither."""
    match = _VERSION.fullmatch(name)
    return name if match is None else match["key"]


def is_version_of(version: str, key: str) -> bool:
    """Whether `version` names a version of `key`.

    Google may answer with the project's id where it was asked by number. Which id belongs to a number cannot
    be known here, so either counts as the other; the rest of the name must be the same.
    """
    made, asked = _VERSION.fullmatch(version), _VERSION.fullmatch(key)
    if made is None or asked is None or made["number"] is None or made["rest"] != asked["rest"]:
        return False
    by_number = made["project"].isdigit() != asked["project"].isdigit()
    return by_number or made["project"] == asked["project"]
