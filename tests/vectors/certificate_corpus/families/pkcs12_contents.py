"""PKCS#12: what is in it."""

from __future__ import annotations

from tests.vectors.certificate_corpus import asn1, pbe, pfx
from tests.vectors.certificate_corpus.authority import (
    Issued,
    Pair,
    dsa_pair,
    ec_pair,
    ed448_pair,
    issue,
    ml_dsa_pair,
    rsa_pair,
)
from tests.vectors.certificate_corpus.case import (
    CONTENT,
    KEY,
    Case,
    Sent,
    accepted,
    refused,
)
from tests.vectors.certificate_corpus.families.pkcs12 import LEGACY, WORDS
from tests.vectors.certificate_corpus.people import (
    CHAIN,
    DEEP,
    ED_LEAF,
    LEAF,
    LONE,
    LONG,
    MIDDLE,
    OTHER,
    ROOT,
    RSA_LEAF,
    STRANGER,
    crl,
)
from tests.vectors.certificate_corpus.texts import b64, key_pem, pem

_AES = pbe.pbes2(WORDS)
_RC2 = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And40BitRC2-CBC")
DERS = [one.der for one in CHAIN]
PKCS8 = LEAF.pair.pkcs8


def _sealed(*bags: bytes) -> str:
    """Those bags in one encrypted part."""
    return b64(pfx.pfx([pfx.encrypted(_AES, *bags)], WORDS, pfx.Mac()))


def _sent(content: str, key: str | None = None) -> Sent:
    return Sent("p12", content, key, WORDS)


def cases() -> list[Case]:
    """All of them."""
    return [*_several(), *_orders(), *_without(), *_beside(), *_broken()]


def _several() -> list[Case]:
    leaf, root = (pfx.certificate_bag(der) for der in DERS)
    named = pfx.certificate_bag(
        LEAF.der, pfx.friendly_name("Schlüssel der Königin 👑"), pfx.local_key_id(b"Time 1")
    )
    key = pfx.shrouded_bag(PKCS8, _AES, pfx.local_key_id(b"Time 1"))
    other_key = pfx.shrouded_bag(OTHER.pair.pkcs8, _AES, pfx.local_key_id(b"Time 2"))
    other = pfx.certificate_bag(OTHER.der, pfx.local_key_id(b"Time 2"))
    stranger = pfx.shrouded_bag(STRANGER.pkcs8, _AES)
    mine = {
        "friendly-names": (named, root, key),
        "empty-friendly-name": (
            pfx.certificate_bag(LEAF.der, pfx.friendly_name("")),
            root,
            key,
        ),
        "no-attributes": (leaf, root, pfx.shrouded_bag(PKCS8, _AES)),
        "local-key-ids-that-lie": (
            pfx.certificate_bag(LEAF.der, pfx.local_key_id(b"1")),
            pfx.certificate_bag(ROOT.der, pfx.local_key_id(b"2")),
            pfx.shrouded_bag(PKCS8, _AES, pfx.local_key_id(b"2")),
        ),
        "key-bag-inside-encrypted-part": (leaf, root, pfx.key_bag(PKCS8)),
        "nested-contents": (pfx.nested_bag(leaf, pfx.nested_bag(root)), key),
        "with-crl-bag": (leaf, root, key, pfx.crl_bag(crl())),
        "with-secret-bag": (leaf, root, key, pfx.secret_bag(b"a word")),
        "with-sdsi-bag": (leaf, root, key, pfx.sdsi_bag("c2RzaQ==")),
        "with-unknown-bag": (leaf, root, key, pfx.bag(99, asn1.octets(b"x"))),
        "same-key-twice": (leaf, root, key, pfx.key_bag(PKCS8)),
        "a-second-key-without-certificate": (leaf, root, stranger, key),
    }
    found = [
        accepted(name, "p12 friendly-names", _sent(_sealed(*bags)), *CHAIN, key=LEAF.pair)
        for name, bags in mine.items()
    ]
    found += [
        accepted(
            "two-entries",
            "p12 several-keys several-certificates",
            _sent(_sealed(named, other, root, other_key, key)),
            *CHAIN,
            key=LEAF.pair,
            count=3,
            warnings=["chain_out_of_order"],
        ),
        accepted(
            "several-leaves-one-key",
            "p12 several-certificates leaf-not-first",
            _sent(_sealed(leaf, other, root, other_key)),
            OTHER,
            ROOT,
            key=OTHER.pair,
            count=3,
            warnings=["chain_out_of_order"],
        ),
        accepted(
            "keys-of-a-ca-and-its-leaf",
            "p12 several-keys",
            _sent(_sealed(root, leaf, pfx.shrouded_bag(ROOT.pair.pkcs8, _AES), key)),
            *CHAIN,
            key=LEAF.pair,
            warnings=["chain_out_of_order"],
        ),
        accepted(
            "three-parts",
            "p12 several-certificates",
            _sent(
                b64(
                    pfx.pfx(
                        [
                            pfx.encrypted(_AES, leaf),
                            pfx.plain(root),
                            pfx.encrypted(_RC2, key),
                        ],
                        WORDS,
                        pfx.Mac(),
                    )
                )
            ),
            *CHAIN,
            key=LEAF.pair,
            warnings=LEGACY,
        ),
        accepted(
            "certificate-twice",
            "p12 several-certificates",
            _sent(_sealed(leaf, root, root, key)),
            *CHAIN,
            key=LEAF.pair,
            count=3,
        ),
    ]
    return found


def _below(name: str, pair: Pair) -> Issued:
    return issue(name, by=ROOT, pair=pair)


def _orders() -> list[Case]:
    key = pfx.shrouded_bag(DEEP.pair.pkcs8, _AES)
    orders = {
        "leaf-last": (ROOT, MIDDLE, DEEP),
        "root-second": (DEEP, ROOT, MIDDLE),
    }
    found = [
        accepted(
            f"order-{name}",
            "p12 chain-order leaf-not-first",
            _sent(_sealed(*(pfx.certificate_bag(one.der) for one in order), key)),
            *LONG,
            key=DEEP.pair,
            warnings=["chain_out_of_order"],
        )
        for name, order in orders.items()
    ]
    for name, one, said in (
        ("rsa", RSA_LEAF, ["incomplete_chain"]),
        ("ed25519", ED_LEAF, ["incomplete_chain"]),
        ("rsa-pss", _below("pss.example", rsa_pair(is_pss=True)), ["incomplete_chain"]),
        ("dsa", _below("dsa.example", dsa_pair()), ["incomplete_chain"]),
        ("ed448", _below("ed448.example", ed448_pair("p12")), ["incomplete_chain"]),
        ("ml-dsa", _below("ml-dsa.example", ml_dsa_pair(44)), ["incomplete_chain"]),
        ("self-signed", LONE, ["self_signed"]),
    ):
        bags = (pfx.certificate_bag(one.der), pfx.shrouded_bag(one.pair.pkcs8, _AES))
        found.append(
            accepted(
                f"key-{name}",
                f"p12 {name}",
                _sent(_sealed(*bags)),
                one,
                key=one.pair,
                warnings=said,
            )
        )
    return found


def _without() -> list[Case]:
    key = pfx.shrouded_bag(PKCS8, _AES)
    nothing = {
        "keys-only": (key,),
        "crl-only": (pfx.crl_bag(crl()),),
        "secret-only": (pfx.secret_bag(b"a word"),),
        "sdsi-only": (pfx.sdsi_bag("c2RzaQ=="),),
        "no-bag": (),
    }
    found = [
        refused(name, "p12 no-certificate", _sent(_sealed(*bags)), CONTENT, "no_certificate")
        for name, bags in nothing.items()
    ]
    found += [
        refused(
            "no-part",
            "p12 no-certificate",
            _sent(b64(pfx.pfx([], WORDS, pfx.Mac()))),
            CONTENT,
            "no_certificate",
        ),
        accepted(
            "certificates-only",
            "p12",
            _sent(_sealed(*(pfx.certificate_bag(der) for der in DERS))),
            *CHAIN,
        ),
        refused(
            "key-of-nobody",
            "p12 key-mismatch",
            _sent(
                _sealed(
                    *(pfx.certificate_bag(der) for der in DERS),
                    pfx.shrouded_bag(ec_pair("nobody").pkcs8, _AES),
                )
            ),
            CONTENT,
            "key_mismatch",
        ),
    ]
    return found


def _beside() -> list[Case]:
    """The key beside a PKCS#12."""
    bags = [pfx.certificate_bag(der) for der in DERS]
    whole = _sealed(*bags, pfx.shrouded_bag(PKCS8, _AES))
    return [
        accepted(
            "key-beside", "p12 key-beside", _sent(_sealed(*bags), key_pem(LEAF.pair)), *CHAIN,
            key=LEAF.pair,
        ),
        accepted(
            "same-key-beside", "p12 key-beside", _sent(whole, key_pem(LEAF.pair)), *CHAIN,
            key=LEAF.pair,
        ),
        refused(
            "another-key-beside",
            "p12 key-mismatch key-beside",
            _sent(whole, key_pem(STRANGER)),
            KEY,
            "key_mismatch",
        ),
        refused(
            "certificate-beside",
            "p12 invalid-private-key",
            _sent(whole, pem(LEAF)),
            KEY,
            "invalid_private_key",
        ),
    ]  # fmt: skip


def _broken() -> list[Case]:
    """Right passphrase or none asked for, yet not what it should be."""
    key = pfx.shrouded_bag(PKCS8, _AES)
    good = pfx.pfx([pfx.encrypted(_AES, pfx.certificate_bag(LEAF.der), key)], WORDS, pfx.Mac())
    no_safe = asn1.sequence(asn1.integer(3), asn1.sequence(asn1.oid("1.2.840.113549.1.7.1")))
    broken = {
        "cut-short": good[:-30],
        "garbage-after": good + b"garbage",
        "no-content": no_safe,
        "no-certificate-in-its-bag": pfx.pfx([pfx.plain(pfx.certificate_bag(b"hello"))]),
        "certificate-cut-short": pfx.pfx([pfx.plain(pfx.certificate_bag(LEAF.der[:-9]))]),
        "garbage-in-the-plain-part": pfx.pfx([_data(b"garbage")]),
        "lying-length": good[:3] + b"\x01" + good[4:],
    }
    found = [
        refused(
            f"broken-{name}",
            "p12 malformed",
            Sent("p12", b64(data), None, WORDS),
            CONTENT,
            "malformed",
        )
        for name, data in broken.items()
    ]
    changed = bytearray(good)
    changed[len(good) // 2] ^= 1
    found += [
        refused(
            "broken-one-bit",
            "p12 malformed",
            Sent("p12", b64(bytes(changed)), None, WORDS),
            CONTENT,
            "malformed",
        ),
        refused(
            "broken-key",
            "p12 invalid-private-key",
            _sent(_sealed(pfx.certificate_bag(LEAF.der), pfx.key_bag(asn1.sequence(b"")))),
            CONTENT,
            "invalid_private_key",
        ),
    ]
    return found


def _data(content: bytes) -> bytes:
    return asn1.sequence(asn1.oid("1.2.840.113549.1.7.1"), asn1.explicit(0, asn1.octets(content)))
