"""Files made to hurt: each is refused before it costs anything, and none crashes the reader."""

from __future__ import annotations

from typing import Final

from tests.vectors.certificate_corpus import asn1, cms, pbe, pfx
from tests.vectors.certificate_corpus.case import (
    CONTENT,
    KEY,
    PASSPHRASE,
    Case,
    Sent,
    accepted,
    refused,
)
from tests.vectors.certificate_corpus.people import CHAIN, LEAF, LONE, STRANGER, crl
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, lines, pem

_WORDS = "open the coffer"
_KIB: Final = 1024
_TEN_MILLION: Final = 10_000_000
_MANY: Final = "hostile many-certificates"


def cases() -> list[Case]:
    """All of them."""
    return [*_rounds(), *_scrypt(), *_nesting(), *_numbers(), *_sizes(), *_lies(), *_texts()]


def _store(
    certificates: pbe.Scheme | None, key: pbe.Scheme | None, mac: pfx.Mac | pfx.Pbmac1 | None
) -> str:
    ders = [one.der for one in CHAIN]
    return b64(pfx.usual(ders, LEAF.pair.pkcs8, _WORDS, certificates, key, mac))


def _rounds() -> list[Case]:
    """Rounds that nobody has to wait for: the count lies, the true one is small."""
    found = []
    modern = pbe.pbes2(_WORDS)
    for claimed in (_TEN_MILLION, 2**31 - 1, 2**63):
        dear = pbe.pbes2(_WORDS, claimed=claimed)
        old = pbe.pkcs12_pbe(_WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC", claimed=claimed)
        files = {
            "mac": _store(modern, modern, pfx.Mac("sha1", claimed=claimed)),
            "pbmac1": _store(modern, modern, pfx.Pbmac1(claimed=claimed)),
            "certificates": _store(dear, modern, pfx.Mac()),
            "key": _store(modern, dear, pfx.Mac()),
            "old-certificates": _store(old, old, None),
        }
        for name, text in files.items():
            if claimed != _TEN_MILLION and name in {"pbmac1", "key"}:
                continue
            for suffix, words in (("", _WORDS), ("-without-passphrase", None)):
                if suffix and (name != "mac" or claimed != _TEN_MILLION):
                    continue
                found.append(
                    refused(
                        f"rounds-{claimed}-{name}{suffix}",
                        "hostile iterations",
                        Sent("pfx", text, None, words),
                        CONTENT,
                        "unsupported_algorithm",
                    )
                )
    for name, scheme in {
        "pbes2": pbe.pbes2(_WORDS, claimed=_TEN_MILLION),
        "pkcs12": pbe.pkcs12_pbe(_WORDS, "pbeWithSHA1And40BitRC2-CBC", claimed=_TEN_MILLION),
    }.items():
        text = block("ENCRYPTED PRIVATE KEY", scheme.encrypted_key(LEAF.pair.pkcs8))
        found += [
            refused(
                f"rounds-of-a-key-{name}",
                "hostile iterations",
                Sent("pem", pem(LEAF), text, _WORDS),
                KEY,
                "unsupported_algorithm",
            ),
            refused(
                f"rounds-of-a-key-alone-{name}",
                "hostile iterations",
                Sent("key", text, None, _WORDS),
                CONTENT,
                "unsupported_algorithm",
            ),
        ]
    sum_of_keys = [
        pfx.shrouded_bag(LEAF.pair.pkcs8, pbe.pbes2(_WORDS, claimed=900_000)) for _ in range(15)
    ]
    bags = pfx.plain(*(pfx.certificate_bag(one.der) for one in CHAIN), *sum_of_keys)
    for name, count in (("zero", 0), ("negative", -5)):
        kdf = pbe.pbkdf2_algorithm(count)
        aes = asn1.algorithm("2.16.840.1.101.3.4.1.42", asn1.octets(bytes(16)))
        safe = pfx.encrypted_content(pbe.pbes2_of(kdf, aes), bytes(64))
        found.append(
            refused(
                f"rounds-{name}",
                "hostile iterations",
                Sent("pfx", b64(pfx.pfx([safe], _WORDS, pfx.Mac())), None, _WORDS),
                CONTENT,
                "malformed",
            )
        )
    found.append(
        refused(
            "rounds-that-add-up",
            "hostile iterations",
            Sent("pfx", b64(pfx.pfx([bags], _WORDS, pfx.Mac())), None, _WORDS),
            CONTENT,
            "unsupported_algorithm",
        )
    )
    return found


def _scrypt() -> list[Case]:
    aes = asn1.algorithm("2.16.840.1.101.3.4.1.42", asn1.octets(bytes(16)))
    costs = {
        "memory": (2**30, 8, 1),
        "passes": (2, 1, 2**20),
        "blocks": (2, 2**25, 1),
        "huge": (2**62, 8, 1),
    }
    found = []
    for name, (n, r, p) in costs.items():
        algorithm = pbe.pbes2_of(pbe.scrypt_algorithm(n, r, p), aes)
        key = asn1.sequence(algorithm, asn1.octets(bytes(160)))
        found.append(
            refused(
                f"scrypt-{name}",
                "hostile scrypt-cost",
                Sent("pem", pem(LEAF), block("ENCRYPTED PRIVATE KEY", key), _WORDS),
                KEY,
                "unsupported_algorithm",
            )
        )
    return found


def _nesting() -> list[Case]:
    deep = b"\x30\x80" * 50_000
    nested = b"\x30\x00"
    for _ in range(3000):
        nested = asn1.tlv(0x30, nested)
    bags = pfx.certificate_bag(LEAF.der)
    for _ in range(200):
        bags = pfx.nested_bag(bags)
    octet_strings = b"\x24\x80" * 20_000
    found = []
    for kind in ("crt", "pfx", "p7b", "key"):
        for name, data in (("indefinite", deep), ("definite", nested), ("strings", octet_strings)):
            if name == "strings" and kind != "pfx":
                continue
            found.append(
                refused(
                    f"nesting-{name}-{kind}",
                    f"{kind} hostile nesting",
                    Sent(kind, b64(data)),
                    CONTENT,
                    "malformed" if name != "strings" else "not_this_format",
                )
            )
    found.append(
        refused(
            "nesting-bags",
            "pfx hostile nesting",
            Sent("pfx", b64(pfx.pfx([pfx.plain(bags)], _WORDS, pfx.Mac())), None, _WORDS),
            CONTENT,
            "malformed",
        )
    )
    return found


def _numbers() -> list[Case]:
    """Of certificates, keys and bags; the limits are 100 and 20."""
    hundred, more = (LONE,) * 100, (LONE,) * 101
    ders = [one.der for one in more]
    bags = [pfx.certificate_bag(der) for der in ders]
    thousand = pfx.pfx(
        [pfx.plain(pfx.certificate_bag(LEAF.der), *[pfx.crl_bag(crl())] * 999)], _WORDS, pfx.Mac()
    )
    keys = [pfx.key_bag(_numbered_key(number)) for number in range(21)]
    many_keys = pfx.pfx([pfx.plain(pfx.certificate_bag(LEAF.der), *keys)], _WORDS, pfx.Mac())
    return [
        accepted(
            "hundred-certificates",
            "hostile many-certificates",
            Sent("pem", pem(*hundred)),
            LONE,
            count=100,
            warnings=["self_signed"],
        ),
        *(
            refused(f"101-certificates-{sent.certificate_type}", _MANY, sent, CONTENT, None)
            for sent in (
                Sent("pem", pem(*more)),
                Sent("crt", pem(*more)),
                Sent("p7b", b64(cms.certs_only(*ders))),
                Sent("pfx", b64(pfx.pfx([pfx.plain(*bags)], _WORDS, pfx.Mac())), None, _WORDS),
            )
        ),
        accepted(
            "thousand-bags",
            "hostile many-bags",
            Sent("pfx", b64(thousand), None, _WORDS),
            LEAF,
            warnings=["incomplete_chain"],
        ),
        refused(
            "21-keys",
            "hostile many-keys",
            Sent("pfx", b64(many_keys), None, _WORDS),
            CONTENT,
            None,
        ),
    ]  # fmt: skip


def _numbered_key(number: int) -> bytes:
    """Ed25519 keys, told apart by their last octet."""
    seed = bytes(31) + bytes([number])
    return asn1.sequence(
        asn1.integer(0), asn1.algorithm("1.3.101.112"), asn1.octets(asn1.octets(seed))
    )


def _sizes() -> list[Case]:
    whole, key = pem(*CHAIN), key_pem(LEAF.pair)
    padded = whole + " " * (720 * _KIB - len(whole))
    big = asn1.octets(bytes(512 * _KIB))
    return [
        accepted("size-720-kib", "hostile oversize", Sent("pem", padded), *CHAIN),
        refused("size-above", "hostile oversize", Sent("pem", padded + " "), CONTENT, None),
        refused("size-decoded-crt", "hostile oversize", Sent("crt", lines(big)), CONTENT, None),
        refused("size-decoded-pfx", "hostile oversize", Sent("pfx", lines(big)), CONTENT, None),
        refused(
            "size-of-the-key",
            "hostile oversize",
            Sent("pem", whole, key + " " * (64 * _KIB)),
            KEY,
            None,
        ),
        refused(
            "size-of-the-passphrase",
            "hostile oversize",
            Sent("pem", whole, key, "é" * 513),
            PASSPHRASE,
            None,
        ),
        accepted(
            "size-of-the-passphrase-allowed",
            "hostile oversize",
            Sent("pem", whole, key, "é" * 512),
            *CHAIN,
            key=LEAF.pair,
        ),
    ]


def _lies() -> list[Case]:
    """Lengths and numbers that promise what is not there."""
    good = pfx.pfx([pfx.plain(pfx.certificate_bag(LEAF.der))], _WORDS, pfx.Mac())
    lies = {
        "four-gigabytes": (b"\x30\x84\xff\xff\xff\xff", "malformed"),
        "126-length-octets": (b"\x30\xfe" + b"\xff" * 126, "not_this_format"),
        "one-octet": (b"\x30", "not_this_format"),
        "length-missing": (b"\x30\x82", "malformed"),
        "empty-sequence": (b"\x30\x00", "malformed"),
    }
    found = [
        refused(
            f"lies-{name}-{kind}",
            f"{kind} hostile lying-lengths",
            Sent(kind, b64(data)),
            CONTENT,
            reason,
        )
        for name, (data, reason) in lies.items()
        for kind in ("crt", "pfx", "p7b")
    ]
    oid = asn1.tlv(6, b"\x81" * 5000 + b"\1")
    algorithm = asn1.sequence(oid, asn1.NULL)
    giant = pfx.pfx([pfx.encrypted_content(algorithm, bytes(16))], _WORDS, pfx.Mac())
    inside = bytearray(good)
    at = good.index(LEAF.der)
    inside[at + 2 : at + 4] = b"\x7f\xff"
    factor = (1 << 8200) + 1
    rsa = asn1.sequence(
        asn1.integer(0), *map(asn1.integer, (factor * factor, 65537, 3, factor, factor, 3, 3, 3))
    )
    found += [
        refused(
            "giant-oid",
            "pfx hostile lying-lengths",
            Sent("pfx", b64(giant), None, _WORDS),
            CONTENT,
            "malformed",
        ),
        refused(
            "length-inside",
            "pfx hostile lying-lengths",
            Sent("pfx", b64(_without_mac(bytes(inside))), None, _WORDS),
            CONTENT,
            "malformed",
        ),
        refused(
            "rsa-of-16401-bits",
            "hostile giant-key",
            Sent("pem", pem(LEAF), block("RSA PRIVATE KEY", rsa)),
            KEY,
            "unsupported_algorithm",
        ),
    ]
    return found


def _without_mac(data: bytes) -> bytes:
    """The same file without MacData, which would no longer fit."""
    members = asn1.elements(asn1.elements(data)[0][1])
    return asn1.sequence(*(asn1.tlv(tag, body) for tag, body in members[:2]))


def _texts() -> list[Case]:
    texts = {
        "open-blocks": ("-----BEGIN CERTIFICATE-----\n" * 20_000, "malformed"),
        "end-lines": ("-----END CERTIFICATE-----\n" * 20_000, "malformed"),
        "empty-blocks": (
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" * 90,
            "malformed",
        ),
        "dashes": ("-" * 500_000, "not_this_format"),
        "headers": (
            "-----BEGIN CERTIFICATE-----\n" + "A: b\n" * 50_000 + "-----END CERTIFICATE-----\n",
            "malformed",
        ),
        "nuls": ("\0" * 10_000, "empty"),
        "colons": ("a" * 200_000 + ":" + " " * 200_000, "not_this_format"),
    }
    found = [
        refused(f"text-{name}", "pem hostile odd-text", Sent("pem", text), CONTENT, reason)
        for name, (text, reason) in texts.items()
    ]
    nested_coats = pem(LEAF)
    for _ in range(12):
        nested_coats = b64(nested_coats.encode())
    found.append(
        refused(
            "text-twelve-coats",
            "pem hostile odd-text",
            Sent("pem", nested_coats),
            CONTENT,
            "invalid_base64",
        )
    )
    found.append(
        refused(
            "text-many-keys",
            "pem hostile many-keys",
            Sent("pem", pem(LEAF) + "".join(
                block("PRIVATE KEY", _numbered_key(number)) for number in range(21)
            )),
            CONTENT,
            None,
        )
    )  # fmt: skip
    found.append(
        refused(
            "text-key-of-nobody",
            "pem key-mismatch",
            Sent("pem", pem(LEAF), key_pem(STRANGER)),
            KEY,
            "key_mismatch",
        )
    )
    return found
