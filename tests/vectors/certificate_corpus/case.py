"""What a case of the corpus is, and how it is written down.

An expectation says what API.md, the RFCs or the issue ask for; it is never what the code answered.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.vectors.certificate_corpus.authority import Issued, Pair

NOW: Final = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
"""The moment as of which every case is read."""

CONTENT: Final = "certificate_content"
KEY: Final = "private_key"
PASSPHRASE: Final = "passphrase"

_SHORT: Final = 100
_BLOCK: Final = re.compile("(-----BEGIN ([A-Z ]+)-----\n[^-]+\n-----END \\2-----\n)")
_INLINE: Final = 6_000
"""Characters; a longer input is stored compressed: the large ones are hostile and repeat themselves."""


@dataclass(frozen=True)
class Sent:
    """The request fields of one case."""

    certificate_type: str
    content: str = field(repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Case:
    """`covers` are the entries of the matrix that it proves something about; `leaf` is the certificate
    that the outcome is about, if there is one."""

    name: str
    covers: tuple[str, ...]
    sent: Sent
    expect: dict[str, Any]
    leaf: Issued | None = None


def refused(name: str, covers: str, sent: Sent, where: str, reason: str | None, *says: str) -> Case:
    """A refusal for that field with that reason, whose message holds each of `says`."""
    expected = {"field": where, "reason": reason, "says": list(says)}
    return Case(name, tuple(covers.split()), sent, {"refused": expected})


def accepted(
    name: str,
    covers: str,
    sent: Sent,
    leaf: Issued,
    *chain: Issued,
    key: Pair | None = None,
    count: int | None = None,
    warnings: Iterable[str] = (),
    says: Sequence[str] = (),
    loads: bool = True,
    **changed: object,
) -> Case:
    """Acceptance: metadata about `leaf`, whose issuers in the normal form are `chain`.

    `count` is the number of certificates sent, if others came along. `changed` are members of the metadata
    that differ from what the certificate was issued with; `says` must occur in the warnings' messages.
    `loads`: `cryptography` reads the certificates too.
    """
    metadata = {
        "chain_length": 1 + len(chain) if count is None else count,
        "has_private_key": key is not None,
        "has_passphrase": bool(sent.passphrase),
    }
    expect = {
        "leaf": sha256(leaf.der).hexdigest(),
        "chain": [sha256(issuer.der).hexdigest() for issuer in chain],
        "key": spki_sha256(key) if key else None,
        "metadata": metadata | changed,
        "warnings": sorted(warnings),
        "says": list(says),
        "loads": loads,
        "pkcs8": _pkcs8(key),
    }
    return Case(name, tuple(covers.split()), sent, expect, leaf)


def key_alone(name: str, covers: str, sent: Sent, pair: Pair, warnings: Iterable[str] = ()) -> Case:
    """Acceptance of a private key without any certificate: API.md knows its kind and size only."""
    metadata: dict[str, object] = dict.fromkeys(
        (
            "subject",
            "issuer",
            "expires_at",
            "not_before",
            "serial_number",
            "sha256_fingerprint",
            "signature_algorithm",
            "is_ca",
        )
    )
    metadata |= {
        "has_private_key": True,
        "has_passphrase": bool(sent.passphrase),
        "dns_names": [],
        "ip_addresses": [],
        "key_algorithm": pair.algorithm,
        "key_size": pair.size,
        "chain_length": 0,
    }
    expect = {
        "leaf": None,
        "chain": [],
        "key": spki_sha256(pair),
        "metadata": metadata,
        "warnings": sorted(warnings),
        "says": [],
        "loads": True,
        "pkcs8": _pkcs8(pair),
    }
    return Case(name, tuple(covers.split()), sent, expect)


def spki_sha256(pair: Pair) -> str:
    """Names a key by its public half."""
    public = pair.private.public_key()
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _pkcs8(pair: Pair | None) -> str | None:
    """The key's own PKCS#8 where it says more than the library does when it writes the key again."""
    return sha256(pair.pkcs8).hexdigest() if pair and pair.is_pss else None


def write(folder: Path, family: str, cases: Sequence[Case]) -> None:
    """One manifest per family. Raises ValueError for a name that occurs twice.

    What several cases send, and what is expected of a certificate by itself, is written once.
    """
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise ValueError(f"{family}: {sorted(name for name in names if names.count(name) > 1)}")
    times = Counter(
        piece
        for case in cases
        for text in (case.sent.content, case.sent.private_key)
        for piece in dict.fromkeys([*_pieces(text or ""), text or ""])
    )
    shared = [text for text, count in times.items() if count > 1 and len(text) > _SHORT]
    leaves = {sha256(case.leaf.der).hexdigest(): case.leaf.facts for case in cases if case.leaf}
    manifest = {
        "family": family,
        "now": NOW.isoformat(),
        "certificates": leaves,
        "texts": [_packed(text) for text in shared],
        "cases": [_json(case, shared) for case in cases],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=True) + "\n"
    (folder / f"{family}.json").write_text(text, encoding="ascii")


def _json(case: Case, shared: list[str]) -> dict[str, Any]:
    sent = case.sent
    entry: dict[str, Any] = {
        "name": case.name,
        "covers": " ".join(case.covers),
        "certificate_type": sent.certificate_type,
    }
    for member, text in ((CONTENT, sent.content), (KEY, sent.private_key)):
        if text is not None:
            entry[member] = _stored(text, shared)
    if sent.passphrase is not None:
        entry[PASSPHRASE] = sent.passphrase
    usual = {"says": [], "loads": True, "warnings": [], "chain": [], "key": None, "pkcs8": None}
    said = {name: value for name, value in case.expect.items() if usual.get(name, ...) != value}
    return entry | {"expect": said}


def _pieces(text: str) -> list[str]:
    """PEM blocks as they usually look, and what stands between them."""
    if len(text) > _INLINE:
        return []
    return [piece for at, piece in enumerate(_BLOCK.split(text)) if piece and at % 3 != 2]


def _stored(text: str, shared: list[str]) -> str | dict[str, Any]:
    """The text, or which of the shared texts it is made of."""
    if text in shared:
        return {"texts": [shared.index(text)]}
    pieces = _pieces(text)
    if any(piece in shared for piece in pieces):
        return {"texts": [shared.index(one) if one in shared else one for one in pieces]}
    return _packed(text)


def _packed(text: str) -> str | dict[str, Any]:
    if len(text) <= _INLINE:
        return text
    return {"zlib": base64.b64encode(zlib.compress(text.encode(), 9)).decode()}
