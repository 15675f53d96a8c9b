"""Binary files in the text of a request field: base64 in every dress."""

from __future__ import annotations

from typing import Final

from tests.vectors.certificate_corpus import asn1, cms, pbe, pfx
from tests.vectors.certificate_corpus.case import CONTENT, Case, Sent, accepted, key_alone, refused
from tests.vectors.certificate_corpus.people import CHAIN, LEAF
from tests.vectors.certificate_corpus.texts import b64, b64url, block, lines, pem

_PASSPHRASE = "open the coffer"
_PROVED_BY_SMALLER: Final = frozenset(
    {
        "base64-bom",
        "base64-trailing-blanks",
        "base64-blanks-around",
        "base64-blanks-between-groups",
        "data-url-without-media-type",
        "data-url-with-parameters",
    }
)
"""Files whose coats are not sent with large content as well."""


def _files() -> dict[str, bytes]:
    """One binary file for each type that has one."""
    scheme = pbe.pbes2(_PASSPHRASE)
    store = pfx.usual(
        [one.der for one in CHAIN], LEAF.pair.pkcs8, _PASSPHRASE, scheme, scheme, pfx.Mac()
    )
    bundle = cms.certs_only(*(one.der for one in CHAIN))
    key = LEAF.pair.pkcs8
    return {"crt": LEAF.der, "pfx": store, "p7b": bundle, "key": key}


def _dresses(data: bytes) -> dict[str, str]:
    """The same bytes as text."""
    return {
        "base64": b64(data),
        "base64-lines-64": lines(data),
        "base64-lines-76-crlf": lines(data, 76, "\r\n"),
        "base64-blanks-around": f" \n\t{b64(data)}\n \n",
        "base64-blanks-between-groups": lines(data, 4, " "),
        "base64-trailing-blanks": lines(data, 64, "  \n"),
        "base64-unpadded": b64(data).rstrip("="),
        "base64-bom": f"\ufeff{b64(data)}",
        "base64-of-utf-16-pasted": "\0".join(b64(data)) + "\0",
        "base64url": b64url(data),
        "base64url-unpadded": b64url(data, padded=False),
        "data-url": f"data:application/octet-stream;base64,{b64(data)}",
        "data-url-without-media-type": f"data:;base64,{b64(data)}",
        "data-url-with-parameters": f"data:application/x-x509;name=a.cer;base64,{b64(data)}",
        "data-url-lines": f"data:application/pkix-cert;base64,{lines(data)}",
    }


def cases() -> list[Case]:
    """All of them."""
    return [*_readable(), *_texts_in_base64(), *_endings(), *_ber(), *_broken()]


def _readable() -> list[Case]:
    found = []
    for kind, data in _files().items():
        for dress, text in _dresses(data).items():
            if kind in {"p7b", "pfx"} and dress in _PROVED_BY_SMALLER:
                continue
            found.append(_read(f"{kind}-{dress}", f"{kind} {_entry(dress)}", kind, text))
    return found


def _entry(dress: str) -> str:
    if dress.startswith("data-url"):
        return "data-url"
    if dress.startswith("base64url"):
        return "base64url"
    return "base64-without-lines" if dress in {"base64", "base64-unpadded"} else "base64-lines"


def _read(name: str, covers: str, kind: str, text: str) -> Case:
    if kind == "crt":
        sent = Sent(kind, text)
        return accepted(name, f"{covers} der", sent, LEAF, warnings=["incomplete_chain"])
    if kind == "pfx":
        return accepted(name, covers, Sent(kind, text, None, _PASSPHRASE), *CHAIN, key=LEAF.pair)
    if kind == "p7b":
        return accepted(name, f"{covers} der", Sent(kind, text), *CHAIN)
    return key_alone(name, f"{covers} der", Sent(kind, text), LEAF.pair)


def _texts_in_base64() -> list[Case]:
    """A PEM file that was taken for a binary one."""
    text = pem(*CHAIN)
    return [
        accepted(
            "crt-base64-of-pem", "crt base64-of-text", Sent("crt", b64(text.encode())), *CHAIN
        ),
        accepted(
            "cer-data-url-of-pem",
            "cer data-url base64-of-text",
            Sent("cer", f"data:application/x-pem-file;base64,{b64(text.encode())}"),
            *CHAIN,
        ),
        accepted(
            "pem-data-url",
            "pem data-url",
            Sent("pem", f"data:application/x-pem-file;base64,{b64(text.encode())}"),
            *CHAIN,
        ),
        accepted(
            "crt-base64-of-base64",
            "crt base64-of-text",
            Sent("crt", b64(b64(LEAF.der).encode())),
            LEAF,
            warnings=["incomplete_chain"],
        ),
        accepted(
            "cer-base64-of-utf-16-pem",
            "cer utf-16 base64-of-text",
            Sent("cer", b64(b"\xff\xfe" + text.encode("utf-16-le"))),
            *CHAIN,
        ),
    ]


def _endings() -> list[Case]:
    """What editors, `echo` and the fixed sizes of smart cards leave behind a binary file."""
    found = []
    for kind, data in _files().items():
        for name, ending in (("line-feed", b"\n"), ("crlf", b"\r\n"), ("nuls", bytes(5))):
            text = b64(data + ending)
            found.append(_read(f"{kind}-ending-{name}", f"{kind} binary-ending", kind, text))
    return found


def _ber() -> list[Case]:
    """A certificate or key that somebody wrote in BER is the same one in DER."""
    certificate, key = asn1.ber(LEAF.der), asn1.ber(LEAF.pair.pkcs8)
    both = ["ber_encoding", "incomplete_chain"]
    return [
        accepted("crt-ber", "crt ber", Sent("crt", b64(certificate)), LEAF, warnings=both),
        accepted(
            "pem-ber",
            "pem ber",
            Sent("pem", block("CERTIFICATE", certificate)),
            LEAF,
            warnings=both,
        ),
        key_alone("key-ber", "key ber", Sent("key", b64(key)), LEAF.pair, ["ber_encoding"]),
        key_alone(
            "key-ber-pem",
            "key ber",
            Sent("key", block("PRIVATE KEY", key)),
            LEAF.pair,
            ["ber_encoding"],
        ),
    ]


def _broken() -> list[Case]:
    found = []
    for kind, data in _files().items():
        text = b64(data)
        broken = {
            "star": (text[:50] + "*" + text[51:], "invalid_base64"),
            "one-character-too-many": (_one_more(text), "invalid_base64"),
            "data-url-star": (f"data:;base64,{text[:50]}*{text[51:]}", "invalid_base64"),
            "cut-short": (b64(data[: len(data) // 2]), "malformed"),
            "garbage-after": (b64(data + b"garbage"), "malformed"),
            "empty": (" \n", "empty"),
            "data-url-empty": ("data:application/octet-stream;base64,", "empty"),
        }
        for name, (content, reason) in broken.items():
            passphrase = _PASSPHRASE if kind == "pfx" else None
            sent = Sent(kind, content, None, passphrase)
            covers = f"{kind} {reason.replace('_', '-')}"
            found.append(refused(f"{kind}-{name}", covers, sent, CONTENT, reason))
    return found


def _one_more(text: str) -> str:
    """A number of characters that no base64 has."""
    bare = text.rstrip("=")
    return bare + "A" * ((1 - len(bare)) % 4)
