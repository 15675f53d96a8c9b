"""Changes to whole inputs: the coat is taken off, what is inside changed, and a coat put on again."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.fuzz import trees
from tests.fuzz.case import TYPES, Case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_BLOCK: Final = re.compile(r"-----BEGIN ([^-\n]*)-----\n(.*?)-----END [^-\n]*-----\n?", re.DOTALL)
MAX_CHARACTERS: Final = 600_000
LABELS: Final = (
    "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "EC PARAMETERS", "PKCS7", "PKCS12", "CMS",
    "X509 CRL", "CERTIFICATE REQUEST", "OPENSSH PRIVATE KEY", "PUBLIC KEY", "ANY PRIVATE KEY", "",
)  # fmt: skip
HEADERS: Final = (
    "Proc-Type: 4,ENCRYPTED\n", "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n", "\n",
    "DEK-Info: DES-EDE3-CBC,0011223344556677\n", "DEK-Info: DES-CBC,00\n", "Bag Attributes\n", "a: b\n",
)  # fmt: skip
SLIPS: Final = (
    "\ufeff", "\0", "\r", "\r\n", "\n\n", "\\n", "-----", "-----BEGIN CERTIFICATE-----\n", "=", "==", "-_",
    "é", "data:;base64,", "data:application/x-pkcs12;base64,", "%3D", "\u2028", "\ud800", "\x85", " " * 99,
    "<", "{",
)  # fmt: skip
PASSPHRASES: Final = (None, "", "x", "wrong", "пароль", "p\0q", "\U0001f511", "x" * 1025, "\ud800")


def change(case: Case, other: Case, random: Random) -> Case:
    """`case`, changed in one place; `other` is where something may be taken from."""
    what = random.random()
    if what < 0.65:
        return replace(case, content=change_text(case.content, other.content, random))
    if what < 0.83:
        source = other.private_key or other.content
        if case.private_key is None:
            return replace(case, private_key=source if random.random() < 0.5 else case.content)
        if random.random() < 0.1:
            return replace(case, private_key=None)
        return replace(case, private_key=change_text(case.private_key, source, random))
    if what < 0.93:
        return replace(case, certificate_type=random.choice(TYPES))
    return replace(case, passphrase=random.choice((*PASSPHRASES, other.passphrase)))


def change_text(text: str, other: str, random: Random) -> str:
    """A field's text, changed inside of its coat or on it."""
    if random.random() < 0.25:
        changed = random.choice(_TEXT_CHANGES)(text, other, random)
    elif "-----BEGIN" in text:
        changed = _inside_a_block(text, other, random)
    else:
        changed = _inside_base64(text, other, random)
    return changed[:MAX_CHARACTERS]


def _inside_a_block(text: str, other: str, random: Random) -> str:
    blocks = list(_BLOCK.finditer(text))
    if not blocks:
        return _slip(text, other, random)
    block = random.choice(blocks)
    headers, _, body = block[2].rpartition("\n\n")
    data = _decoded(body)
    if data is None:
        return _slip(text, other, random)
    changed = trees.change(data, _some_bytes(other, random), random)
    headers = headers + "\n\n" if headers else ""
    label = block[1] if random.random() < 0.95 else random.choice(LABELS)
    return text[: block.start()] + armor(label, changed, headers) + text[block.end() :]


def _inside_base64(text: str, other: str, random: Random) -> str:
    data = _decoded(text)
    if data is None:
        return _slip(text, other, random)
    if b"-----BEGIN" in data:
        inner = data.decode("utf-8", "replace")
        return coat(change_text(inner, other, random).encode("utf-8", "replace"), random)
    return coat(trees.change(data, _some_bytes(other, random), random), random)


def armor(label: str, data: bytes, headers: str = "") -> str:
    """PEM."""
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{headers}{text}-----END {label}-----\n"


def coat(data: bytes, random: Random) -> str:
    """Base64 in one of the ways in which it comes, mostly the plain one."""
    plain = base64.b64encode(data).decode()
    how = random.randrange(10)
    if how == 0:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")
    if how == 1:
        return base64.encodebytes(data).decode().replace("\n", "\r\n")
    if how == 2:
        return "data:application/x-pkcs12;base64," + plain
    if how == 3:
        return "\0".join(plain)
    return plain


def _decoded(text: str) -> bytes | None:
    joined = (
        "".join(text.rpartition(",")[2].split()).replace("-", "+").replace("_", "/").rstrip("=")
    )
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4))
    except (binascii.Error, ValueError):
        return None


def _some_bytes(text: str, random: Random) -> bytes:
    bodies: Sequence[str] = [found[2].rpartition("\n\n")[2] for found in _BLOCK.finditer(text)]
    return _decoded(random.choice(bodies or [text])) or b""


def _slip(text: str, _: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    slip = random.choice((*SLIPS, *HEADERS))
    return text[:at] + slip + text[at + random.choice((0, 0, 1, 5, 50)) :]


def _cut(text: str, _: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] if random.random() < 0.7 else text[at:]


def _splice(text: str, other: str, random: Random) -> str:
    blocks = [found[0] for found in _BLOCK.finditer(other)] or [other]
    block = random.choice(blocks) * random.choice((1, 1, 1, 3, 30))
    return random.choice((text + block, block + text, block))


def _blocks(text: str, _: str, random: Random) -> str:
    """Shuffled, one lost or one twice."""
    blocks = [found[0] for found in _BLOCK.finditer(text)]
    if not blocks:
        return text * 2
    how = random.randrange(3)
    if how == 0:
        random.shuffle(blocks)
    elif how == 1:
        blocks.remove(random.choice(blocks))
    else:
        blocks += [random.choice(blocks)] * random.choice((1, 2, 50))
    return "".join(blocks)


def _relabel(text: str, _: str, random: Random) -> str:
    labels = [found[1] for found in _BLOCK.finditer(text)]
    return text.replace(random.choice(labels), random.choice(LABELS)) if labels else text


def _header(text: str, _: str, random: Random) -> str:
    return text.replace("-----\n", "-----\n" + "".join(random.choices(HEADERS, k=3)) + "\n", 1)


def _recoat(text: str, _: str, random: Random) -> str:
    how = random.randrange(5)
    if how == 0:
        blocks = list(_BLOCK.finditer(text))
        data = _decoded(random.choice(blocks)[2]) if blocks else None
        return text if data is None else coat(data, random)
    if how == 1:
        data = _decoded(text)
        return text if data is None else armor(random.choice(LABELS), data)
    encoding = random.choice(("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"))
    raw = text.encode(encoding, "replace")
    return coat(raw, random) if how < 4 else raw.decode("latin-1")


_TEXT_CHANGES: Final[tuple[Callable[[str, str, Random], str], ...]] = (
    _slip, _slip, _cut, _splice, _blocks, _relabel, _header, _recoat, _recoat,
)  # fmt: skip
