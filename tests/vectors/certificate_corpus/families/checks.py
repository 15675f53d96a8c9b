"""What certificates of one file have to do with each other, with the key and with the calendar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from tests.vectors.certificate_corpus import cms, pbe, pfx
from tests.vectors.certificate_corpus.authority import (
    Issued,
    basic_constraints,
    dsa_pair,
    ec_pair,
    ed25519_pair,
    issue,
    ml_dsa_pair,
    rsa_pair,
    signature_by,
)
from tests.vectors.certificate_corpus.case import CONTENT, KEY, NOW, Case, Sent, accepted, refused
from tests.vectors.certificate_corpus.people import (
    CHAIN,
    DEEP,
    LEAF,
    LONE,
    LONG,
    MIDDLE,
    OTHER,
    ROOT,
    STRANGER,
)
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, pem

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = "open the coffer"
_GAP = ["incomplete_chain"]


def cases() -> list[Case]:
    """All of them."""
    return [*_links(), *_authorities(), *_mismatches(), *_leaf_of_key(), *_dates(), *_strength()]


def _chain(
    name: str,
    sent: Sequence[Issued],
    path: Sequence[Issued],
    *warnings: str,
    says: Sequence[str] = (),
    key: bool = False,
) -> Case:
    fields = Sent("pem", pem(*sent), key_pem(path[0].pair) if key else None)
    covers = "chain-order broken-link" if says else "chain-order"
    return accepted(
        name,
        covers,
        fields,
        *path,
        count=len(sent),
        warnings=warnings,
        says=says,
        key=path[0].pair if key else None,
    )


def _links() -> list[Case]:
    impostor = issue("Corpus CA", by=ROOT, pair=ec_pair("impostor"), ca=True)
    false_root = issue("Corpus Root", pair=ec_pair("false root"), ca=True)
    changed = bytearray(MIDDLE.der)
    changed[-1] ^= 1
    broken_middle = Issued(bytes(changed), MIDDLE.pair, MIDDLE.name, MIDDLE.facts)
    cross_root = issue("Other Root", ca=True)
    crossed = issue("Corpus CA", by=cross_root, pair=MIDDLE.pair, ca=True)
    first = issue("Ring A", ca=True)
    second = issue("Ring B", by=first, ca=True)
    again = issue("Ring A", by=second, pair=first.pair, ca=True)
    ringed = issue("ringed.example", by=again)
    between = ["between certificates 1 and 2"]
    return [
        _chain("complete", LONG, LONG),
        _chain("complete-with-key", LONG, LONG, key=True),
        _chain("root-left-out", (DEEP, MIDDLE), (DEEP, MIDDLE)),
        _chain("issuer-missing", (DEEP, ROOT), (DEEP,), *_GAP),
        _chain("alone", (DEEP,), (DEEP,), *_GAP),
        _chain("impostor-above-the-leaf", (DEEP, impostor, ROOT), (DEEP,), *_GAP, says=between),
        _chain(
            "impostor-above-the-ca",
            (DEEP, MIDDLE, false_root),
            (DEEP, MIDDLE),
            *_GAP,
            says=["between certificates 2 and 3"],
        ),
        _chain(
            "changed-signature-of-the-ca",
            (DEEP, broken_middle, ROOT),
            (DEEP, broken_middle),
            *_GAP,
            says=["between certificates 2 and 3"],
        ),
        _chain(
            "impostor-and-the-true-one",
            (DEEP, impostor, MIDDLE, ROOT),
            LONG,
            "chain_out_of_order",
        ),
        _chain("cross-signed-both", (*LONG, crossed, cross_root), LONG),
        _chain("cross-signed-other-way", (DEEP, crossed, cross_root), (DEEP, crossed, cross_root)),
        _chain("two-leaves", (DEEP, OTHER, MIDDLE, ROOT), LONG, "chain_out_of_order"),
        _chain("foreign-root-beside", (*LONG, LONE), LONG),
        _chain(
            "names-in-a-ring",
            (ringed, again, second),
            (ringed, again, second),
        ),
        _chain("same-certificate-three-times", (LONE, LONE, LONE), (LONE,), "self_signed"),
    ]


def _authorities() -> list[Case]:
    lone_ca = issue("Lone CA", by=ROOT, ca=True)
    old_ca = issue("Version 1 CA", ca=True, version=0, extensions=(), is_ca=False)
    below_old = issue("below.example", by=old_ca)
    return [
        _chain("authorities-only", (MIDDLE, ROOT), (MIDDLE, ROOT)),
        _chain("one-ca", (lone_ca,), (lone_ca,)),
        _chain("root-alone", (ROOT,), (ROOT,), "self_signed"),
        _chain("root-with-its-key", (ROOT,), (ROOT,), "self_signed", key=True),
        _chain("ca-with-its-key", (MIDDLE, ROOT), (MIDDLE, ROOT), key=True),
        _chain("ca-of-version-1", (below_old, old_ca), (below_old, old_ca)),
        _chain(
            "ca-of-version-1-first", (old_ca, below_old), (below_old, old_ca), "chain_out_of_order"
        ),
    ]


def _mismatches() -> list[Case]:
    """A key that is not the leaf's, in every kind of file."""
    ders = [one.der for one in CHAIN]
    scheme = pbe.pbes2(_WORDS)
    key = key_pem(STRANGER)
    store = pfx.usual(ders, STRANGER.pkcs8, _WORDS, scheme, scheme, pfx.Mac())
    bags = pfx.pfx([pfx.plain(*(pfx.certificate_bag(der) for der in ders))], _WORDS, pfx.Mac())
    sealed = block("ENCRYPTED PRIVATE KEY", scheme.encrypted_key(STRANGER.pkcs8))
    contents = {
        "pem": Sent("pem", pem(*CHAIN), key),
        "pem-inside": Sent("pem", pem(*CHAIN) + key),
        "pem-encrypted": Sent("pem", pem(*CHAIN), sealed, _WORDS),
        "crt": Sent("crt", b64(LEAF.der), key),
        "cer": Sent("cer", pem(LEAF), key),
        "p7b": Sent("p7b", b64(cms.certs_only(*ders)), key),
        "pfx": Sent("pfx", b64(store), None, _WORDS),
        "p12": Sent("p12", b64(bags), key, _WORDS),
        "key-of-another-kind": Sent("pem", pem(*CHAIN), key_pem(ed25519_pair("other"))),
        "rsa-key": Sent("pem", pem(*CHAIN), key_pem(rsa_pair())),
        "dsa-key": Sent("pem", pem(*CHAIN), key_pem(dsa_pair())),
        "ml-dsa-key": Sent("pem", pem(*CHAIN), key_pem(ml_dsa_pair(65))),
        "key-of-the-ca": Sent("pem", pem(*LONG), key_pem(MIDDLE.pair)),
        "key-of-the-root": Sent("pem", pem(*LONG), key_pem(ROOT.pair)),
        "inside-and-beside-differ": Sent("pem", pem(*CHAIN) + key_pem(LEAF.pair), key),
    }
    return [
        refused(
            f"mismatch-{name}",
            "key-mismatch",
            sent,
            KEY if sent.private_key else CONTENT,
            "key_mismatch",
        )
        for name, sent in contents.items()
    ]


def _leaf_of_key() -> list[Case]:
    """The leaf is the certificate of the key, wherever it stands."""
    ders = [one.der for one in (ROOT, MIDDLE, OTHER, DEEP)]
    both = Sent("p7b", b64(cms.certs_only(*ders)), key_pem(DEEP.pair))
    as_text = Sent("crt", pem(ROOT, MIDDLE, DEEP), key_pem(DEEP.pair))
    renewed = issue(
        "deep.example", by=MIDDLE, pair=DEEP.pair, dns_names=("deep.example",), serial=7
    )
    return [
        accepted("key-finds-leaf-p7b", "leaf-not-first", both, *LONG, key=DEEP.pair, count=4),
        accepted(
            "key-finds-leaf-crt",
            "leaf-not-first",
            as_text,
            *LONG,
            key=DEEP.pair,
            warnings=["chain_out_of_order"],
        ),
        accepted(
            "renewed-with-the-same-key",
            "leaf-not-first",
            Sent("pem", pem(renewed, DEEP, MIDDLE, ROOT), key_pem(DEEP.pair)),
            renewed,
            MIDDLE,
            ROOT,
            key=DEEP.pair,
            count=4,
            warnings=["chain_out_of_order"],
        ),
    ]


def _dated(name: str, begins: datetime, ends: datetime, *warnings: str) -> Case:
    leaf = issue(f"{name}.example", by=ROOT, not_before=begins, not_after=ends)
    return accepted(
        f"date-{name}", "dates", Sent("pem", pem(leaf, ROOT)), leaf, ROOT, warnings=warnings
    )


def _dates() -> list[Case]:
    day = timedelta(days=1)
    long_ago, far = NOW - 365 * day, NOW + 3650 * day
    old_ca = issue("Old CA", by=ROOT, ca=True, not_before=long_ago, not_after=NOW - day)
    below = issue("below-old.example", by=old_ca)
    return [
        _dated("valid", long_ago, far),
        _dated("expired", long_ago, NOW - day, "expired"),
        _dated("expired-a-second-ago", long_ago, NOW - timedelta(seconds=1), "expired"),
        _dated("expires-now", long_ago, NOW, "expires_soon"),
        _dated("expires-tomorrow", long_ago, NOW + day, "expires_soon"),
        _dated("expires-in-30-days", long_ago, NOW + 30 * day, "expires_soon"),
        _dated("expires-in-31-days", long_ago, NOW + 31 * day),
        _dated("valid-from-now", NOW, far),
        _dated("not-yet-valid", NOW + day, far, "not_yet_valid"),
        _dated("never-valid", far, long_ago, "expired", "not_yet_valid"),
        accepted(
            "date-issuer-expired",
            "dates",
            Sent("pem", pem(below, old_ca, ROOT)),
            below,
            old_ca,
            ROOT,
            warnings=["expired"],
            says=["Certificate 2"],
        ),
    ]


def _strength() -> list[Case]:
    rsa_root = issue("RSA Root", ca=True, pair=rsa_pair())
    old = signature_by(rsa_root.pair, hashes.SHA1())
    older = signature_by(rsa_root.pair, hashes.MD5())
    weak_root = issue("Weak Root", ca=True, pair=rsa_pair(), signature=old)
    sha1_leaf = issue("sha1.example", by=rsa_root, signature=old)
    md5_leaf = issue("md5.example", by=rsa_root, signature=older)
    sha1_ca = issue("SHA-1 CA", by=rsa_root, ca=True, signature=old)
    below = issue("below-sha1.example", by=sha1_ca)
    small = issue("small.example", by=ROOT, pair=rsa_pair(1024))
    tiny = issue("tiny.example", by=ROOT, pair=rsa_pair(512))
    small_ca = issue("Small CA", by=ROOT, ca=True, pair=rsa_pair(1024))
    below_small = issue("below-small.example", by=small_ca)
    ecdsa = issue("ecdsa-sha1.example", by=ROOT, signature=signature_by(ROOT.pair, hashes.SHA1()))
    forged = issue(
        "forged-sha1.example",
        by=rsa_root,
        signature=signature_by(rsa_pair(1024), hashes.SHA1()),
        extensions=(basic_constraints(ca=False),),
    )
    listed = {
        "sha1-leaf": ((sha1_leaf, rsa_root), 2, ["weak_signature"]),
        "md5-leaf": ((md5_leaf, rsa_root), 2, ["weak_signature"]),
        "ecdsa-sha1-leaf": ((ecdsa, ROOT), 2, ["weak_signature"]),
        "sha1-ca": ((below, sha1_ca, rsa_root), 3, ["weak_signature"]),
        "sha1-root-does-no-harm": ((issue("weak.example", by=weak_root), weak_root), 2, []),
        "rsa-1024-leaf": ((small, ROOT), 2, ["weak_key"]),
        "rsa-512-leaf": ((tiny, ROOT), 2, ["weak_key"]),
        "rsa-1024-ca": ((below_small, small_ca, ROOT), 3, ["weak_key"]),
        "forged-sha1": ((forged, rsa_root), 1, ["incomplete_chain", "weak_signature"]),
    }
    return [
        accepted(
            f"weak-{name}",
            "strength",
            Sent("pem", pem(*sent)),
            *sent[:length],
            count=len(sent),
            warnings=warnings,
        )
        for name, (sent, length, warnings) in listed.items()
    ]
