"""Private keys beside their certificate: every algorithm in every form, plain."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.vectors.certificate_corpus import asn1, openssl
from tests.vectors.certificate_corpus.authority import (
    Issued,
    Pair,
    dsa_pair,
    ec_pair,
    ed448_pair,
    ed25519_pair,
    issue,
    ml_dsa_pair,
    rsa_pair,
    seed,
    x25519_pair,
)
from tests.vectors.certificate_corpus.case import CONTENT, KEY, Case, Sent, accepted, refused
from tests.vectors.certificate_corpus.families import encrypted_keys
from tests.vectors.certificate_corpus.people import LEAF, ROOT, RSA_LEAF
from tests.vectors.certificate_corpus.texts import block, key_pem, pem

CURVES: Final = {
    "secp192r1": (ec.SECP192R1(), "1.2.840.10045.3.1.1"),
    "secp224r1": (ec.SECP224R1(), "1.3.132.0.33"),
    "prime256v1": (ec.SECP256R1(), "1.2.840.10045.3.1.7"),
    "secp384r1": (ec.SECP384R1(), "1.3.132.0.34"),
    "secp521r1": (ec.SECP521R1(), "1.3.132.0.35"),
    "secp256k1": (ec.SECP256K1(), "1.3.132.0.10"),
    "brainpoolP256r1": (ec.BrainpoolP256R1(), "1.3.36.3.3.2.8.1.1.7"),
    "brainpoolP384r1": (ec.BrainpoolP384R1(), "1.3.36.3.3.2.8.1.1.11"),
    "brainpoolP512r1": (ec.BrainpoolP512R1(), "1.3.36.3.3.2.8.1.1.13"),
}
"""The named curves of `cryptography`."""

LONE: Final = "incomplete_chain"


def cases() -> list[Case]:
    """All of them."""
    return [
        *_curves(),
        *_forms(),
        *_texts(),
        *_odd_curves(),
        *encrypted_keys.cases(),
        *_unusable(),
        *_unsupported(),
    ]


def _own(name: str, covers: str, leaf: Issued, key: str, *warnings: str) -> Case:
    sent = Sent("pem", pem(leaf), key)
    return accepted(name, covers, sent, leaf, key=leaf.pair, warnings=[LONE, *warnings])


def _curves() -> list[Case]:
    found = []
    for name, (curve, oid) in CURVES.items():
        leaf = issue(f"{name}.example", by=ROOT, pair=ec_pair(f"leaf on {name}", curve))
        weak = ["weak_key"] if curve.key_size < 224 else []
        parameters = block("EC PARAMETERS", asn1.oid(oid))
        sec1 = block("EC PRIVATE KEY", leaf.pair.traditional)
        covers = f"ec {name.lower()}"
        found += [
            _own(f"{name}-pkcs8", f"{covers} pkcs8", leaf, key_pem(leaf.pair), *weak),
            _own(f"{name}-sec1", f"{covers} sec1", leaf, sec1, *weak),
            _own(f"{name}-parameters", f"{covers} ec-parameters", leaf, parameters + sec1, *weak),
        ]
    return found


def _forms() -> list[Case]:
    dsa_leaf = issue("dsa.example", by=ROOT, pair=dsa_pair())
    pss_leaf = issue("pss.example", by=ROOT, pair=rsa_pair(is_pss=True))
    small_leaf = issue("small.example", by=ROOT, pair=rsa_pair(1024))
    ed_leaf = issue("ed.example", by=ROOT, pair=ed25519_pair("plain"))
    ed448_leaf = issue("ed448.example", by=ROOT, pair=ed448_pair("plain"))
    x_leaf = issue("x25519.example", by=ROOT, pair=x25519_pair("plain"))
    # OneAsymmetricKey (RFC 5958): version 1, and the public half behind it
    two = asn1.sequence(
        asn1.integer(1),
        asn1.algorithm("1.3.101.112"),
        asn1.octets(asn1.octets(seed("plain"))),
        asn1.tlv(0x81, b"\0" + ed_leaf.pair.spki[-32:]),
    )
    attributes = asn1.elements(LEAF.pair.pkcs8)[0][1] + asn1.explicit(
        0, asn1.sequence(asn1.oid("2.5.29.15"), asn1.set_of(asn1.tlv(3, b"\x07\x80")))
    )
    short = ec.derive_private_key(5, ec.SECP256R1())
    short_leaf = issue("short.example", by=ROOT, pair=Pair(short, "EC", 256))
    without_public = asn1.sequence(
        asn1.integer(1),
        asn1.octets(bytes(31) + b"\5"),
        asn1.explicit(0, asn1.oid("1.2.840.10045.3.1.7")),
    )
    found = [
        _own("rsa-pkcs8", "rsa pkcs8", RSA_LEAF, key_pem(RSA_LEAF.pair)),
        _own(
            "rsa-pkcs1", "rsa pkcs1", RSA_LEAF, block("RSA PRIVATE KEY", RSA_LEAF.pair.traditional)
        ),
        _own("rsa-1024", "rsa pkcs8", small_leaf, key_pem(small_leaf.pair), "weak_key"),
        _own("rsa-pss-pkcs8", "rsa-pss pkcs8", pss_leaf, key_pem(pss_leaf.pair)),
        # RFC 4055 section 1.2: the certificate restricts the key, whatever the key says of itself
        _own("rsa-pss-certificate-rsa-key", "rsa-pss pkcs8", pss_leaf, key_pem(rsa_pair())),
        _own(
            "rsa-pss-certificate-pkcs1-key",
            "rsa-pss pkcs1",
            pss_leaf,
            block("RSA PRIVATE KEY", rsa_pair().traditional),
        ),
        _own("dsa-pkcs8", "dsa pkcs8", dsa_leaf, key_pem(dsa_leaf.pair)),
        _own(
            "dsa-traditional", "dsa", dsa_leaf, block("DSA PRIVATE KEY", dsa_leaf.pair.traditional)
        ),
        _own("ed25519-pkcs8", "ed25519 pkcs8", ed_leaf, key_pem(ed_leaf.pair)),
        _own("ed25519-with-public-half", "ed25519 pkcs8", ed_leaf, block("PRIVATE KEY", two)),
        _own("ed448-pkcs8", "ed448 pkcs8", ed448_leaf, key_pem(ed448_leaf.pair)),
        _own("x25519-pkcs8", "x25519 pkcs8", x_leaf, key_pem(x_leaf.pair)),
        _own("pkcs8-attributes", "ec pkcs8", LEAF, block("PRIVATE KEY", asn1.sequence(attributes))),
        _own(
            "sec1-without-public-half",
            "ec sec1",
            short_leaf,
            block("EC PRIVATE KEY", without_public),
        ),
    ]
    for strength in (44, 65, 87):
        leaf = issue(f"ml-dsa-{strength}.example", by=ROOT, pair=ml_dsa_pair(strength))
        found.append(
            _own(f"ml-dsa-{strength}-seed", "ml-dsa post-quantum pkcs8", leaf, key_pem(leaf.pair))
        )
    return found


def _texts() -> list[Case]:
    key = key_pem(LEAF.pair)
    texts = {
        "crlf": ("crlf", key.replace("\n", "\r\n")),
        "cr": ("cr", key.replace("\n", "\r")),
        "bom": ("bom", "\ufeff" + key),
        "text-around": ("text-around", f"Key Attributes\n    friendlyName: x\n{key}\nbye"),
        "blanks": ("trailing-blanks", key.replace("\n", "  \n")),
        "one-line": ("one-block", block("PRIVATE KEY", LEAF.pair.pkcs8, 9999)),
        "no-final-line-end": ("one-block", key.rstrip("\n")),
        "pkcs8-under-the-rsa-label": ("pkcs8", block("RSA PRIVATE KEY", LEAF.pair.pkcs8)),
        "certificate-beside-it": ("many-blocks", pem(LEAF, ROOT) + key),
    }
    return [
        _own(f"text-{name}", f"key-beside {covers}", LEAF, text)
        for name, (covers, text) in texts.items()
    ]


def _odd_curves() -> list[Case]:
    """Curves that are written out instead of named, and some that the library does not know."""
    explicit = openssl.run(
        "ec", "-in", "k", "-param_enc", "explicit", files={"k": key_pem(LEAF.pair).encode()}
    ).decode()
    found = [_own("explicit-p-256", "ec explicit-curve openssl", LEAF, explicit)]
    for curve in ("brainpoolP160r1", "secp160r1", "sect233k1", "brainpoolP320r1"):
        key = openssl.genpkey("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}").decode()
        found.append(
            refused(
                f"unsupported-{curve}",
                "ec unsupported-algorithm unsupported-curve openssl",
                Sent("pem", pem(LEAF), key),
                KEY,
                "unsupported_algorithm",
            )
        )
    return found


def _unusable() -> list[Case]:
    key = LEAF.pair.pkcs8
    text = key_pem(LEAF.pair)
    invalid = {
        "certificate": pem(LEAF),
        "public-key": block("PUBLIC KEY", LEAF.pair.spki),
        "openssh": block("OPENSSH PRIVATE KEY", b"openssh-key-v1\0" + bytes(60)),
        "words": "the key is under the mat",
        "cut-short": block("PRIVATE KEY", key[:-9]),
        "garbage-after": block("PRIVATE KEY", key + b"x"),
        "no-end-line": text.split("-----END")[0],
        "empty-block": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "two-different-keys": text + key_pem(RSA_LEAF.pair),
        "scalar-zero": block("PRIVATE KEY", key.replace(_scalar(), bytes(32))),
        "broken-encryption-header": block("ENCRYPTED PRIVATE KEY", asn1.sequence(b"")),
    }
    numbers = RSA_LEAF.pair.private.private_numbers()
    for which in ("p", "q", "d", "dmp1", "dmq1", "iqmp"):
        invalid[f"rsa-wrong-{which}"] = _rsa_with(numbers, which)
    found = [
        refused(
            f"unusable-{name}",
            "key-beside invalid-private-key",
            Sent("pem", pem(RSA_LEAF if name.startswith("rsa-") else LEAF), content),
            KEY,
            "invalid_private_key",
        )
        for name, content in invalid.items()
    ]
    found.append(
        refused(
            "unusable-star-in-base64",
            "key-beside invalid-base64",
            Sent("pem", pem(LEAF), text.replace("M", "*", 1)),
            KEY,
            "invalid_base64",
        )
    )
    found.append(
        refused(
            "unusable-bound-to-pss",
            "rsa-pss key-mismatch",
            Sent("pem", pem(RSA_LEAF), key_pem(rsa_pair(is_pss=True))),
            KEY,
            "key_mismatch",
            "RSASSA-PSS",
        )
    )
    found += [
        refused(f"unusable-{name}", "key-beside empty", Sent("pem", pem(LEAF), blank), KEY, "empty")
        for name, blank in (("empty", ""), ("blanks", " \r\n\ufeff"))
    ]
    return found


def _scalar() -> bytes:
    scalar: int = LEAF.pair.private.private_numbers().private_value
    return scalar.to_bytes(32)


def _rsa_with(numbers: rsa.RSAPrivateNumbers, which: str) -> str:
    """A PKCS#1 key, one of whose numbers is wrong."""
    named = {"n": numbers.public_numbers.n, "e": numbers.public_numbers.e, "d": numbers.d}
    named |= {"p": numbers.p, "q": numbers.q, "dmp1": numbers.dmp1, "dmq1": numbers.dmq1}
    named |= {"iqmp": numbers.iqmp}
    named[which] -= 2
    return block(
        "RSA PRIVATE KEY", asn1.sequence(asn1.integer(0), *map(asn1.integer, named.values()))
    )


def _unsupported() -> list[Case]:
    def pkcs8(oid: str) -> str:
        inner = asn1.octets(asn1.octets(seed("unknown")))
        return block("PRIVATE KEY", asn1.sequence(asn1.integer(0), asn1.algorithm(oid), inner))

    algorithms = {
        "made-up": "1.2.3.4",
        "gost": "1.2.643.7.1.1.1.1",
        "slh-dsa": "2.16.840.1.101.3.4.3.20",
    }
    found = [
        refused(
            f"unsupported-{name}",
            "key-beside unsupported-algorithm",
            Sent("pem", pem(LEAF), pkcs8(oid)),
            KEY,
            "unsupported_algorithm",
            *([oid] if name == "made-up" else []),
        )
        for name, oid in algorithms.items()
    ]
    found.append(
        refused(
            "unsupported-inside-the-content",
            "pem unsupported-algorithm",
            Sent("pem", pem(LEAF) + pkcs8("1.2.3.4")),
            CONTENT,
            "unsupported_algorithm",
            "1.2.3.4",
        )
    )
    return found
