"""What must hold for every input: material that keeps its promises, or a refusal that tells nothing.

Not checked here: that the right one of the two is given (tests/vectors and the tests of the formats do).
"""

from __future__ import annotations

import ast
import base64
import binascii
import functools
import hashlib
import json
import re
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import services.secrets.certificates
from services.secrets.certificates import (
    SUPPORTED_TYPES,
    CertificateMaterial,
    CertificateRefused,
    guess,
    normal_form,
    read_certificate,
)
from services.secrets.certificates.facts.certificate import UNREADABLE
from services.secrets.certificates.facts.metadata import WarningCode
from services.secrets.certificates.refusal import Field, Reason
from services.secrets.rpc import replies
from tests.fakes.certificates import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.case import Case

MAX_SECONDS: Final = 2.0
"""Of processor time; the workers give no more."""
MAX_METADATA_BYTES: Final = 256 * 1024
RUN: Final = 8
"""Characters of the input in a row that a message may not repeat."""

_NUMBERS: Final = re.compile(r"(?<![A-Za-z0-9])[0-9.]+(?![A-Za-z0-9])")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-\s]{16,}={0,2}")


class Finding(AssertionError):  # noqa: N818 - what is found, not a fault of the program
    """A promise that was broken; the text holds nothing of the input."""


def check(case: Case, max_seconds: float = MAX_SECONDS) -> str:
    """What came out: "material" or the refusal's reason. Raises Finding, or what the reader raised."""
    began = time.process_time()
    answer = _answer(case)
    spent = time.process_time() - began
    _must(spent < max_seconds, f"it took {spent:.1f} s of processor time")
    _check_guesses(case)
    if isinstance(answer, CertificateRefused):
        _check_refusal(answer, case)
        return answer.reason or "invalid"
    _check_material(answer, case)
    return "material"


def _answer(case: Case) -> CertificateMaterial | CertificateRefused:
    try:
        return read_certificate(
            case.content, case.private_key, case.passphrase, case.certificate_type, NOW
        )
    except CertificateRefused as refusal:
        return refusal


def _check_refusal(refusal: CertificateRefused, case: Case) -> None:
    _must(refusal.field in get_args(Field), "the refusal's field is none of the request's")
    _must(refusal.reason in (None, *get_args(Reason)), "the refusal's reason is none of API.md's")
    _must(10 < len(refusal.message) < 1000, "the refusal's message is empty or endless")
    _must(refusal.args == (refusal.field, refusal.reason, refusal.message), "more args than three")
    _check_text(refusal.message, "the refusal's message")
    _must(not repeats(refusal.message, case), "the refusal's message repeats some of the input")


def _check_material(material: CertificateMaterial, case: Case) -> None:
    _must(material.content == case.content.encode(), "the content is not what was sent")
    metadata = material.metadata.to_json()
    written = json.dumps(metadata, ensure_ascii=False).encode()
    _must(len(written) < MAX_METADATA_BYTES, "the metadata is huge")
    for text in _texts(metadata):
        _check_text(text, "a text of the metadata")
    codes = {warning.code for warning in material.metadata.warnings}
    _must(codes <= set(get_args(WarningCode)), "a warning's code is none of API.md's")
    message = replies._metadata(metadata)  # type: ignore[arg-type]
    _must(message is not None and bool(message.SerializeToString()), "the message is empty")
    _check_normal_form(material)
    is_known = "ber_encoding" in codes or _is_guessed(case)
    _must(is_known, "nothing was guessed of what is accepted")


def _check_normal_form(material: CertificateMaterial) -> None:
    """A TLS library reads it, it fits together, and reading it again changes nothing."""
    form = normal_form.read(material.normal_form)
    metadata = material.metadata
    again_type = "pem" if form.certificate else "key"
    _must(metadata.has_private_key == (form.private_key is not None), "has_private_key is wrong")
    if form.certificate:
        der = base64.b64decode("".join(form.certificate.splitlines()[1:-1]), validate=True)
        _must(hashlib.sha256(der).hexdigest() == metadata.sha256_fingerprint, "another leaf")
        issuers = form.chain.count("-----BEGIN CERTIFICATE-----")
        _must(issuers < metadata.chain_length, "the chain is longer than the material")
    if form.private_key is not None:
        key = load_pem_private_key(
            form.private_key.encode(), None, unsafe_skip_rsa_key_validation=True
        )
        if form.certificate and (leaf := _public_key(form.certificate)) is not None:
            _must(leaf == key.public_key(), "another's key")
    again = read_certificate(material.normal_form.decode(), None, None, again_type, NOW)
    same = again.normal_form == material.normal_form
    _must(same, "the normal form of the normal form is another one")


def _check_guesses(case: Case) -> None:
    """What the command line says of a file before it sends it."""
    for data in (case.content.encode("utf-8", "replace"), _decoded(case.content)):
        _must(guess.guess_type(data) in {None, *SUPPORTED_TYPES}, "the guess is no type")
        phrase = guess.describe(data)
        _check_text(phrase, "the guess")
        _must(not repeats(phrase, case), "the guess repeats some of the input")
        guess.as_content(data)
        guess.as_pem(data)


def _is_guessed(case: Case) -> bool:
    """UTF-16 without a mark is none that a file is guessed from."""
    return "\0" in case.content or guess.guess_type(case.content.encode()) is not None


def _public_key(certificate: str) -> object | None:
    """None for a certificate that the library refuses, whose key ours may have read all the same."""
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except UNREADABLE:
        return None


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Finding(otherwise)


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Finding(f"{what} is no Unicode") from None
    control = any(unicodedata.category(character) == "Cc" for character in text)
    _must(not control, f"{what} has a control character")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)


def repeats(message: str, case: Case) -> bool:
    """Whether the message has a run of the input that is none of the program's own words.

    Numbers are left out: positions, sizes and OIDs may be told.
    """
    inputs, own = list(_layers(case)), _own_runs()
    for piece in _NUMBERS.split(message):
        for at in range(len(piece) - RUN + 1):
            run = piece[at : at + RUN]
            if run not in own and any(run in text for text in inputs):
                return True
    return False


def _layers(case: Case) -> Iterator[str]:
    """Every field as it is and, as far as it is base64 anywhere, what that says; bytes as Latin-1."""
    for text in (case.content, case.private_key or "", case.passphrase or ""):
        yield text
        for found in _BASE64.finditer(text):
            inner = _decoded(found[0]).decode("latin-1")
            yield inner
            yield inner.replace("\0", "")


def _decoded(text: str) -> bytes:
    """Of base64 in any form; nothing when it is none."""
    joined = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4))
    except (binascii.Error, ValueError):
        return b""


@functools.cache
def _own_runs() -> frozenset[str]:
    """Those in the strings of the package's source, with blanks around, as labels stand in a sentence."""
    package = Path(next(iter(services.secrets.certificates.__path__)))
    words: list[str] = [*get_args(Field)]
    for file in sorted(package.rglob("*.py")):
        words += [
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    return frozenset(
        f" {word} "[at : at + RUN] for word in words for at in range(len(word) + 3 - RUN)
    )
