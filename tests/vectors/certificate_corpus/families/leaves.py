"""Which certificate of a file is meant where that is not plain, and links that nobody should trust."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tests.vectors.certificate_corpus import asn1, cms, pbe, pfx
from tests.vectors.certificate_corpus.authority import basic_constraints, ec_pair, extension, issue
from tests.vectors.certificate_corpus.case import KEY, NOW, Case, Sent, accepted, refused
from tests.vectors.certificate_corpus.people import DEEP, LONE, LONG, MIDDLE, ROOT
from tests.vectors.certificate_corpus.texts import b64, key_pem, pem

_WORDS: Final = "open the coffer"
_DAY: Final = timedelta(days=1)
_SERVER: Final = issue("server.example", ca=True, dns_names=("server.example",))
"""Self-signed and a CA by its extensions, as `openssl req -x509` makes it."""


def cases() -> list[Case]:
    """All of them."""
    return [*_servers(), *_issuers(), *_renewals(), *_no_authorities()]


def _servers() -> list[Case]:
    """Beside the certificate of somebody else, as keystores have it."""
    scheme = pbe.pbes2(_WORDS)
    key = key_pem(_SERVER.pair)
    found = []
    for name, pair in {"first": (_SERVER, LONE), "last": (LONE, _SERVER)}.items():
        ders = [one.der for one in pair]
        store = pfx.usual(ders, _SERVER.pair.pkcs8, _WORDS, scheme, scheme, pfx.Mac())
        late = ["chain_out_of_order"] if name == "last" else []
        sents = {
            "pem": (Sent("pem", pem(*pair), key), late),
            "p7b": (Sent("p7b", b64(cms.certs_only(*ders)), key), []),
            "p12": (Sent("p12", b64(store), None, _WORDS), late),
        }
        for kind, (sent, warnings) in sents.items():
            found.append(
                accepted(
                    f"{kind}-server-that-is-a-ca-{name}",
                    f"{kind} leaf-not-first",
                    sent,
                    _SERVER,
                    key=_SERVER.pair,
                    count=2,
                    warnings=["self_signed", *warnings],
                )
            )
    return found


def _issuers() -> list[Case]:
    """A key of what issued another certificate of the file is the wrong one."""
    orders = {"leaf-first": LONG, "ca-first": (MIDDLE, DEEP, ROOT)}
    found = [
        refused(
            f"p7b-key-of-the-{who}-{name}",
            "p7b key-mismatch",
            Sent("p7b", b64(cms.certs_only(*(one.der for one in order))), key_pem(of.pair)),
            KEY,
            "key_mismatch",
            "issued another certificate",
        )
        for name, order in orders.items()
        for who, of in {"ca": MIDDLE, "root": ROOT}.items()
    ]
    found.append(
        accepted(
            "pem-first-is-a-ca-with-its-key",
            "pem",
            Sent("pem", pem(MIDDLE, DEEP, ROOT), key_pem(MIDDLE.pair)),
            MIDDLE,
            ROOT,
            key=MIDDLE.pair,
            count=3,
            warnings=["chain_out_of_order"],
        )
    )
    return found


def _renewals() -> list[Case]:
    """One that expired and its successor, in a format without order."""
    pair, names = ec_pair("renewed"), ("renewed.example",)
    ended = [
        issue(
            "renewed.example",
            by=ROOT,
            pair=pair,
            dns_names=names,
            serial=number,
            not_before=NOW - 400 * _DAY,
            not_after=NOW - days * _DAY,
        )
        for number, days in ((1, 90), (2, 30), (3, 60))
    ]
    valid = issue("renewed.example", by=ROOT, pair=pair, dns_names=names, serial=4)
    later = issue(
        "renewed.example",
        by=ROOT,
        pair=pair,
        dns_names=names,
        serial=5,
        not_before=NOW + 400 * _DAY,
        not_after=NOW + 9000 * _DAY,
    )
    files = {
        "expired-and-valid": ((ended[0], valid), valid, ["expired"]),
        "valid-and-expired": ((valid, ended[0]), valid, ["expired"]),
        "expired-valid-and-future": ((ended[0], later, valid), valid, ["expired", "not_yet_valid"]),
        "all-expired": (tuple(ended), ended[1], ["expired"]),
    }
    return [
        accepted(
            f"p7b-renewed-{name}{'-with-key' if key else ''}",
            "p7b leaf-not-first dates",
            Sent("p7b", b64(cms.certs_only(*(one.der for one in (*sent, ROOT)))), key),
            leaf,
            ROOT,
            key=pair if key else None,
            count=len(sent) + 1,
            # the others are beside the path, as with any file that holds more than one chain
            warnings=warnings,
        )
        for name, (sent, leaf, warnings) in files.items()
        for key in (None, key_pem(pair))
    ]


def _no_authorities() -> list[Case]:
    """Signed by what must not sign certificates (RFC 5280 section 6.1.4)."""
    signing = (extension("2.5.29.15", asn1.bits(b"\x04")),)  # keyUsage: keyCertSign
    no_ca = issue("Corpus CA", by=ROOT, pair=MIDDLE.pair)
    silent = issue("Corpus CA", by=ROOT, pair=MIDDLE.pair, extensions=())
    by_usage = issue("Corpus CA", by=ROOT, pair=MIDDLE.pair, extensions=signing)
    root_by_usage = issue("Usage Root", extensions=signing)
    below_usage = issue("below-usage.example", by=root_by_usage)
    below_leaf = issue("below.example", by=DEEP)
    old_root = issue("Old Root", version=0, extensions=())
    below_old = issue("below-old.example", by=old_root)
    no_root = issue("No Root", extensions=(basic_constraints(ca=False),))
    below_no_root = issue("below-no-root.example", by=no_root)
    between = "certificate 2, which is no CA"
    warned = {
        "basic-constraints-false": (DEEP, no_ca, ROOT),
        "without-basic-constraints": (DEEP, silent, ROOT),
        "key-usage-alone": (DEEP, by_usage, ROOT),
        "end-entity-signs": (below_leaf, *LONG),
        "root-that-is-no-ca": (below_no_root, no_root),
    }
    fine = {
        "root-by-key-usage": (below_usage, root_by_usage),
        "version-1-root": (below_old, old_root),
    }
    return [
        *(
            accepted(
                f"link-{name}",
                "broken-link",
                Sent("pem", pem(*path)),
                *path,
                warnings=["incomplete_chain"],
                says=[between],
            )
            for name, path in warned.items()
        ),
        *(
            accepted(f"link-{name}", "broken-link", Sent("pem", pem(*path)), *path)
            for name, path in fine.items()
        ),
    ]
