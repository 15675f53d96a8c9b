"""certificate_type `key`: a private key that no certificate came with."""

from __future__ import annotations

from tests.vectors.certificate_corpus import asn1, openssl, pbe
from tests.vectors.certificate_corpus.authority import (
    dsa_pair,
    ec_pair,
    ed448_pair,
    ed25519_pair,
    ml_dsa_pair,
    rsa_pair,
)
from tests.vectors.certificate_corpus.case import (
    CONTENT,
    KEY,
    PASSPHRASE,
    Case,
    Sent,
    key_alone,
    refused,
)
from tests.vectors.certificate_corpus.families.keys import CURVES
from tests.vectors.certificate_corpus.people import CHAIN, LEAF, OTHER
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, pem

_WORDS = "open the coffer"
_LEGACY = ["legacy_encryption"]


def cases() -> list[Case]:
    """All of them."""
    return [*_algorithms(), *_forms(), *_encrypted(), *_refused()]


def _algorithms() -> list[Case]:
    pairs = {
        "rsa-2048": rsa_pair(),
        "rsa-1024": rsa_pair(1024),
        "rsa-pss": rsa_pair(is_pss=True),
        "dsa": dsa_pair(),
        "ed25519": ed25519_pair("alone"),
        "ed448": ed448_pair("alone"),
        "ml-dsa-44": ml_dsa_pair(44),
        "ml-dsa-65": ml_dsa_pair(65),
        "ml-dsa-87": ml_dsa_pair(87),
    }
    pairs |= {name: ec_pair(f"alone on {name}", curve) for name, (curve, _) in CURVES.items()}
    weak = {"rsa-1024", "secp192r1"}
    return [
        key_alone(
            name,
            f"key {name.rsplit('-', 1)[0] if name.startswith('ml') else name.lower()}",
            Sent("key", key_pem(pair)),
            pair,
            ["weak_key"] if name in weak else [],
        )
        for name, pair in pairs.items()
    ]


def _forms() -> list[Case]:
    rsa, elliptic = rsa_pair(), LEAF.pair
    sec1 = block("EC PRIVATE KEY", elliptic.traditional)
    parameters = block("EC PARAMETERS", asn1.oid("1.2.840.10045.3.1.7"))
    forms = {
        "pkcs1": ("pkcs1", block("RSA PRIVATE KEY", rsa.traditional), rsa),
        "sec1": ("sec1", sec1, elliptic),
        "sec1-parameters": ("sec1 ec-parameters", parameters + sec1, elliptic),
        "dsa-traditional": ("dsa", block("DSA PRIVATE KEY", dsa_pair().traditional), dsa_pair()),
        "pkcs8-der": ("pkcs8 der", b64(elliptic.pkcs8), elliptic),
        "pkcs1-der": ("pkcs1 der", b64(rsa.traditional), rsa),
        "sec1-der": ("sec1 der", b64(elliptic.traditional), elliptic),
        "crlf": ("crlf", key_pem(elliptic).replace("\n", "\r\n"), elliptic),
        "bom": ("bom", "\ufeff" + key_pem(elliptic), elliptic),
        "utf-16": ("utf-16", "\0".join(key_pem(elliptic)) + "\0", elliptic),
        "base64-of-pem": ("base64-of-text", b64(key_pem(elliptic).encode()), elliptic),
        "text-around": ("text-around", f"Key Attributes\n{key_pem(elliptic)}\n", elliptic),
        "same-key-twice": ("several-keys", key_pem(elliptic) + sec1, elliptic),
    }
    return [
        key_alone(f"form-{name}", f"key {covers}", Sent("key", text), pair)
        for name, (covers, text, pair) in forms.items()
    ] + [
        key_alone(
            "same-key-in-private-key-too",
            "key key-beside",
            Sent("key", key_pem(elliptic), sec1),
            elliptic,
        )
    ]


def _encrypted() -> list[Case]:
    pair = LEAF.pair
    triple = pbe.pkcs12_pbe(_WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC")
    modern = pbe.pbes2(_WORDS).encrypted_key(pair.pkcs8)
    label = "ENCRYPTED PRIVATE KEY"
    traditional = openssl.traditional("ec", key_pem(pair).encode(), _WORDS, "aes256").decode()
    ways: dict[str, tuple[str, list[str]]] = {
        "pbes2": (block(label, modern), []),
        "pbes2-der": (b64(modern), []),
        "3des": (block(label, triple.encrypted_key(pair.pkcs8)), _LEGACY),
        "3des-der": (b64(triple.encrypted_key(pair.pkcs8)), _LEGACY),
        "scrypt": (block(label, pbe.scrypt(_WORDS).encrypted_key(pair.pkcs8)), []),
        "traditional": (traditional, _LEGACY),
    }
    found = [
        key_alone(
            f"encrypted-{name}",
            "key encrypted-key",
            Sent("key", text, None, _WORDS),
            pair,
            warnings,
        )
        for name, (text, warnings) in ways.items()
    ]
    for name in ("pbes2", "pbes2-der", "traditional"):
        for kind, words, reason in (
            ("wrong", "close the coffer", "wrong_passphrase"),
            ("missing", None, "passphrase_required"),
        ):
            sent = Sent("key", ways[name][0], None, words)
            covers = f"key {reason.replace('_', '-')}"
            found.append(refused(f"encrypted-{name}-{kind}", covers, sent, PASSPHRASE, reason))
    found.append(
        key_alone(
            "passphrase-for-a-plain-key",
            "key passphrase-not-needed",
            Sent("key", key_pem(pair), None, "for the proxy"),
            pair,
        )
    )
    return found


def _refused() -> list[Case]:
    text = key_pem(LEAF.pair)
    unknown = asn1.sequence(
        asn1.integer(0), asn1.algorithm("1.2.3.4"), asn1.octets(asn1.octets(b"x" * 32))
    )
    bad = {
        "key-and-chain": (text + pem(*CHAIN), CONTENT, "not_this_format"),
        "two-different-keys": (text + key_pem(OTHER.pair), CONTENT, "invalid_private_key"),
        "unknown-algorithm": (block("PRIVATE KEY", unknown), CONTENT, "unsupported_algorithm"),
        "unknown-algorithm-der": (b64(unknown), CONTENT, "unsupported_algorithm"),
        "no-end-line": (text.split("-----END")[0], CONTENT, "malformed"),
        "star-in-base64": (text.replace("M", "*", 1), CONTENT, "invalid_base64"),
        "empty": ("\n", CONTENT, "empty"),
    }
    found = [
        refused(
            f"refused-{name}",
            f"key {reason.replace('_', '-')}",
            Sent("key", content),
            where,
            reason,
        )
        for name, (content, where, reason) in bad.items()
    ]
    found.append(
        refused(
            "another-key-in-private-key",
            "key key-mismatch",
            Sent("key", text, key_pem(OTHER.pair)),
            KEY,
            "key_mismatch",
        )
    )
    return found
