"""The certificate corpus: whatever a release once read or refused rightly must stay so.

Each case has its expected outcome, written from API.md and the RFCs (tests/vectors/README.md). The
corpus is read from the repository; neither openssl nor anything random takes part.
"""

import base64
import functools
import json
import re
import warnings
import zlib
from collections import Counter
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from services.secrets.certificates import (
    SUPPORTED_TYPES,
    CertificateMaterial,
    CertificateRefused,
    read_certificate,
)
from services.secrets.certificates.facts.metadata import WarningCode
from services.secrets.certificates.normal_form import read as read_normal_form
from services.secrets.certificates.refusal import Reason

Case = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "certificates"
MANIFESTS = [json.loads(path.read_text("ascii")) for path in sorted(FOLDER.glob("*.json"))]
USUAL = {"says": [], "loads": True, "warnings": [], "chain": [], "key": None, "pkcs8": None}
"""Of what is expected, these are not written down."""
CASES = {
    f"{manifest['family']}/{case['name']}": case
    | {"manifest": manifest, "expect": USUAL | case["expect"]}
    for manifest in MANIFESTS
    for case in manifest["cases"]
}
ACCEPTED = [name for name, case in CASES.items() if "refused" not in case["expect"]]
REFUSED = [name for name, case in CASES.items() if "refused" in case["expect"]]
NO_BODY = re.compile("^-----|^DEK-Info:")
"""Lines that hold the names of things only."""
SIGHT = 12
"""Characters of the input that, in a row, are no coincidence in a message."""


def stored(case: Case, member: str) -> str | None:
    """A request field: texts that several cases send stand apart, and large ones are compressed."""
    value = case.get(member)
    if isinstance(value, dict) and "texts" in value:
        texts = case["manifest"]["texts"]
        value = "".join(
            unpacked(texts[one] if isinstance(one, int) else one) for one in value["texts"]
        )
    return None if value is None else unpacked(value)


def unpacked(value: str | dict[str, str]) -> str:
    """A text, which may be stored compressed."""
    if isinstance(value, str):
        return value
    return zlib.decompress(base64.b64decode(value["zlib"])).decode()


def metadata_of(case: Case) -> dict[str, Any]:
    """What is expected of the certificate by itself, and of the case."""
    leaf = case["expect"]["leaf"]
    facts: dict[str, Any] = case["manifest"]["certificates"].get(leaf, {})
    metadata: dict[str, Any] = case["expect"]["metadata"]
    return {"sha256_fingerprint": leaf} | facts | metadata


@functools.cache
def outcome(name: str) -> CertificateMaterial | CertificateRefused:
    """What comes of a case. Raises whatever a parser must not raise."""
    case = CASES[name]
    content = stored(case, "certificate_content")
    assert content is not None
    try:
        return read_certificate(
            content,
            stored(case, "private_key"),
            case.get("passphrase"),
            case["certificate_type"],
            datetime.fromisoformat(case["manifest"]["now"]),
        )
    except CertificateRefused as refusal:
        return refusal.with_traceback(None)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_for_its_reason(name: str) -> None:
    found, expected = outcome(name), CASES[name]["expect"]["refused"]
    assert isinstance(found, CertificateRefused), "it was accepted"
    assert (found.field, found.reason) == (expected["field"], expected["reason"]), found.message
    for word in expected["says"]:
        assert word in found.message


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_people_have_is_read_and_described(name: str) -> None:
    found, expected = outcome(name), CASES[name]["expect"]
    assert isinstance(found, CertificateMaterial), found
    shown, metadata = found.metadata.to_json(), metadata_of(CASES[name])
    assert {member: shown[member] for member in metadata} == metadata
    told = Counter(warning.code for warning in found.metadata.warnings)
    assert sorted(told) == expected["warnings"]
    assert [code for code, times in told.items() if times > 1 and code != "unreadable_field"] == []
    messages = " ".join(warning.message for warning in found.metadata.warnings)
    for word in expected["says"]:
        assert word in messages


def test_the_normal_form_is_what_a_tls_library_takes() -> None:
    assert {name: fault for name in ACCEPTED if (fault := fault_of_normal_form(name))} == {}


def fault_of_normal_form(name: str) -> str:
    """What is not as expected, "" when nothing is."""
    found, case = outcome(name), CASES[name]
    if not isinstance(found, CertificateMaterial):
        return "refused"
    sent = [stored(case, member) or "" for member in ("certificate_content", "private_key")]
    form, expected = read_normal_form(found.normal_form), case["expect"]
    seen = {
        "content": [found.content, found.private_key or b""] == [text.encode() for text in sent],
        "leaf": sha256_of_blocks(form.certificate)
        == ([expected["leaf"]] if expected["leaf"] else []),
        "chain": sha256_of_blocks(form.chain) == expected["chain"],
        "key": spki_sha256(form.private_key) == expected["key"],
        "pkcs8": expected["pkcs8"] in {None, *sha256_of_blocks(form.private_key or "")},
        "library": not expected["loads"] or is_loaded_whole(form.certificate + form.chain),
    }
    return ", ".join(part for part, is_right in seen.items() if not is_right)


def is_loaded_whole(text: str) -> bool:
    """Whether the library reads every certificate of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's, about odd certificates
        loaded = x509.load_pem_x509_certificates(text.encode()) if text else []
    return len(loaded) == text.count("BEGIN")


def sha256_of_blocks(text: str) -> list[str]:
    """Of the bytes in each PEM block: fingerprints, if they are certificates."""
    bodies = re.findall("-----BEGIN [A-Z ]+-----\n([^-]+)-----END [A-Z ]+-----\n", text)
    return [sha256(base64.b64decode(body)).hexdigest() for body in bodies]


def spki_sha256(text: str | None) -> str | None:
    """Of the private key in the normal form, as the library reads it."""
    if text is None:
        return None
    key = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=True)
    public = key.public_key()
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def test_no_refusal_quotes_what_was_sent() -> None:
    assert {name: quoted for name in REFUSED if (quoted := quoted_by_refusal(name))} == {}


def quoted_by_refusal(name: str) -> list[str]:
    """Pieces of the passphrase, the key or the content that are in the message."""
    found, case = outcome(name), CASES[name]
    assert isinstance(found, CertificateRefused)
    passphrase = case.get("passphrase") or ""
    sent = f"{stored(case, 'certificate_content')}\n{stored(case, 'private_key') or ''}"
    bodies = "\n".join(line for line in sent.splitlines() if not NO_BODY.search(line))
    pieces = {found.message[at : at + SIGHT] for at in range(len(found.message) - SIGHT + 1)}
    quoted = [piece for piece in pieces if piece in bodies]
    return [*quoted, *([passphrase] if len(passphrase) > 3 and passphrase in found.message else [])]


MATRIX = {
    "the nine types": "pem crt cer pfx p12 pkcs7 p7b p7c key declared unknown-type",
    "text": "one-block many-blocks block-order text-around crlf cr trailing-blanks bom utf-16 "
    "x509-label trusted-label crl key-inside line-breaks-lost",
    "transfer": "der base64-lines base64-without-lines base64url base64-of-text data-url",
    "PKCS#7": "pkcs7-pem pkcs7-der iis-label pkcs7-content empty-pkcs7 ber",
    "ciphers": "rc2-40 rc2-128 rc4-40 rc4-128 2des 3des des aes-128-cbc aes-192-cbc aes-256-cbc "
    "aes-256-gcm camellia-256-cbc pbes1 pbes2 pkcs12-pbe mixed-encryption",
    "derivations": "hmacwithsha1 hmacwithsha224 hmacwithsha256 hmacwithsha384 hmacwithsha512 "
    "hmacwithsha512-224 hmacwithsha512-256 scrypt",
    "integrity": "mac mac-none pbmac1",
    "passphrases": "passphrase-empty passphrase-absent passphrase-non-ascii passphrase-odd "
    "passphrase-not-needed passphrase-required wrong-passphrase",
    "contents": "several-certificates several-keys friendly-names java windows macos firefox gnutls openssl "
    "cryptography",
    "forms of keys": "pkcs8 pkcs1 sec1 ec-parameters encrypted-key traditional traditional-aes128 "
    "traditional-aes192 traditional-aes256 traditional-des traditional-des3 key-beside",
    "kinds of keys": "rsa rsa-pss ec dsa ed25519 ed448 x25519 ml-dsa secp192r1 secp224r1 prime256v1 "
    "secp384r1 secp521r1 secp256k1 brainpoolp256r1 brainpoolp384r1 brainpoolp512r1 explicit-curve "
    "unsupported-curve",
    "checks": "key-mismatch chain-order broken-link leaf-not-first dates strength",
    "metadata": "multi-valued-rdn empty-rdn bmp-string teletex-string universal-string utf-8-string "
    "escaped-name unreadable-name no-subject year-2050 odd-dates negative-serial odd-serial "
    "missing-extensions duplicate-extensions odd-extensions idn ipv6 odd-san signatures odd-rsa "
    "odd-curves unknown-algorithms post-quantum",
    "refusals": "not-this-format malformed empty invalid-base64 no-certificate invalid-private-key "
    "unsupported-algorithm",
    "hostile input": "iterations scrypt-cost nesting many-certificates many-keys many-bags oversize "
    "lying-lengths giant-key odd-text",
}
"""What issue 4 asks for, in the words of the cases' `covers`."""


@pytest.mark.parametrize("part", MATRIX)
def test_the_corpus_covers_the_matrix(part: str) -> None:
    covered = {entry for case in CASES.values() for entry in case["covers"].split()}
    assert [entry for entry in MATRIX[part].split() if entry not in covered] == []


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(CASES) >= 300
    assert len(ACCEPTED) >= 100
    assert len(REFUSED) >= 100


def test_every_type_is_accepted_and_refused() -> None:
    for names in (ACCEPTED, REFUSED):
        assert {CASES[name]["certificate_type"] for name in names} >= SUPPORTED_TYPES


def test_every_reason_and_every_warning_occurs() -> None:
    reasons = {CASES[name]["expect"]["refused"]["reason"] for name in REFUSED}
    assert set(get_args(Reason)) <= reasons
    codes = {code for name in ACCEPTED for code in CASES[name]["expect"]["warnings"]}
    assert set(get_args(WarningCode)) <= codes
