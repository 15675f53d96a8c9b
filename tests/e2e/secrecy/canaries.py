"""Planted secrets, and the search for them in every form in which they could leak."""

from __future__ import annotations

import base64
import contextlib
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives import serialization

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.fixtures.stack import RunningStack

SHORTEST = 12
"""Forms shorter than that would be found by accident."""
CLOUD_TOKENS = {
    "Google access token": "ya29.c.",
    "Azure access token": jwt.encode({}, "x" * 32, "HS256").partition(".")[0],
}
AWS_SESSION = re.compile(r"\bASIA[0-9A-F]{16}\b")


def fresh(what: str) -> str:
    """A value found nowhere else."""
    return f"canary-{what}-{uuid.uuid4().hex}"


@dataclass
class Canaries:
    """What must be found nowhere, by a name that may be shown."""

    _forms: dict[str, set[str]] = field(default_factory=dict, repr=False)
    _patterns: dict[str, re.Pattern[str]] = field(default_factory=dict, repr=False)

    def plant(self, name: str, secret: str | bytes) -> None:
        """As it is, in hexadecimal, and in base64 wherever in a longer value it stands."""
        raw = secret.encode() if isinstance(secret, str) else secret
        forms = {raw.hex(), raw.hex().upper(), *_base64_cores(raw)}
        if isinstance(secret, str):
            forms.add(secret)
        self._forms.setdefault(name, set()).update(form for form in forms if len(form) >= SHORTEST)

    def plant_cloud_tokens(self) -> None:
        """Whatever the stand-in clouds let anybody in with for a while, known by how it begins."""
        for name, beginning in CLOUD_TOKENS.items():
            self.plant(name, beginning)
            self._patterns[name] = re.compile(re.escape(beginning))
        self._patterns["AWS session"] = AWS_SESSION

    def plant_text(self, name: str, text: str) -> None:
        """A file of several lines: each of them that is not the mark of a block."""
        for line in text.splitlines():
            if len(line) >= SHORTEST and not line.startswith("-----"):
                self._forms.setdefault(name, set()).add(line)

    def plant_key(self, name: str, pem: str, passphrase: str | None = None) -> None:
        """A private key: each line of its PEM, its DER, and where it has one its secret number."""
        self.plant_text(name, pem)
        key = serialization.load_pem_private_key(
            pem.encode(), passphrase.encode() if passphrase else None
        )
        self.plant(
            name,
            key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def found_in(self, text: str) -> set[str]:
        """The names of those that are in a text in any form."""
        found = {name for name, forms in self._forms.items() if any(form in text for form in forms)}
        return found | {name for name, pattern in self._patterns.items() if pattern.search(text)}


def _base64_cores(raw: bytes) -> set[str]:
    """What of the base64 of `raw` does not depend on what stands before and after it."""
    cores = set()
    for lead in range(3):
        padded = bytes(lead) + raw
        whole = padded[: len(padded) // 3 * 3]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            cores.add(encode(whole).decode()[4 if lead else 0 :])
    return cores


@contextlib.contextmanager
def answers_recorded(stack: RunningStack) -> Iterator[list[str]]:
    """Every HTTP answer of the meantime, headers and body."""
    answers: list[str] = []

    def record(answer: httpx.Response) -> None:
        answer.read()
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        answers.append(f"{answer.status_code}\n{headers}\n\n{answer.text}")

    hooks = stack.http.event_hooks
    stack.http.event_hooks = {**hooks, "response": [record]}
    try:
        yield answers
    finally:
        stack.http.event_hooks = hooks
