"""PEM: blocks in any number and order, and what happens to text on its way."""

from __future__ import annotations

import base64
import json

from tests.vectors.certificate_corpus import cms, openssl
from tests.vectors.certificate_corpus.case import CONTENT, Case, Sent, accepted, refused
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
    crl,
    request,
)
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, pem

_WHOLE = pem(*CHAIN)
_OWN = key_pem(LEAF.pair)
_EC_PARAMETERS = block("EC PARAMETERS", bytes.fromhex("06082a8648ce3d030107"))
_BAG_ATTRIBUTES = (
    "Bag Attributes\n    localKeyID: 01 \nsubject=CN = example.com\n\nissuer=CN = CA\n"
)


def cases() -> list[Case]:
    """All of them."""
    return [
        *_texts(),
        *_blocks(),
        *_keys(),
        *_orders(),
        *_utf16(),
        *_broken(),
        *_written_by_openssl(),
    ]


def _texts() -> list[Case]:
    texts = {
        "plain": ("one-block", _WHOLE),
        "crlf": ("crlf", _WHOLE.replace("\n", "\r\n")),
        "cr": ("cr", _WHOLE.replace("\n", "\r")),
        "mixed-line-ends": ("crlf", _WHOLE.replace("\n", "\r\n", 9)),
        "blanks-at-line-ends": ("trailing-blanks", _WHOLE.replace("\n", "  \t\n")),
        "blank-lines-around": ("trailing-blanks", "\n\n" + _WHOLE + "\n \n\t\n"),
        "blank-lines-between": ("trailing-blanks", "\n\n".join(pem(one) for one in CHAIN)),
        "blank-lines-inside": ("trailing-blanks", _WHOLE.replace("=\n", "=\n\n")),
        "indented": (
            "trailing-blanks",
            "".join("    " + line + "\n" for line in _WHOLE.split("\n")),
        ),
        "no-final-line-end": ("one-block", _WHOLE.rstrip("\n")),
        "bom": ("bom", "\ufeff" + _WHOLE),
        "bom-and-crlf": ("bom", "\ufeff" + _WHOLE.replace("\n", "\r\n")),
        "bom-between-files": ("bom", "\ufeff".join(pem(one) for one in CHAIN)),
        "text-before": ("text-around", "Your certificate, Sir:\n" + _WHOLE),
        "text-between": (
            "text-around",
            "\n0 s:CN = x\n  i:CN = y\n".join(pem(one) for one in CHAIN),
        ),
        "text-after": ("text-around", _WHOLE + "---\nServer certificate\n"),
        "bag-attributes": ("text-around", "".join(_BAG_ATTRIBUTES + pem(one) for one in CHAIN)),
        "umlauts-around": ("text-around", "Zertifikat für Müller\n" + _WHOLE),
        "lines-of-76": ("one-block", "".join(block("CERTIFICATE", c.der, 76) for c in CHAIN)),
        "one-line-each": ("one-block", "".join(block("CERTIFICATE", c.der, 9999) for c in CHAIN)),
        "text-about-markers": (
            "text-around",
            "Please copy everything including the -----BEGIN CERTIFICATE----- and -----END "
            "CERTIFICATE----- lines.\n" + _WHOLE,
        ),
        "marker-in-a-sentence": (
            "text-around",
            "Your certificate (-----BEGIN CERTIFICATE-----) follows\n" + _WHOLE,
        ),
        "end-of-something-else": ("text-around", "-----END OF HEADER-----\n" + _WHOLE),
        "backslash-n": ("line-breaks-lost", _WHOLE.replace("\n", "\\n")),
        "backslash-r-n": ("line-breaks-lost", _WHOLE.replace("\n", "\\r\\n")),
        "all-in-one-line": ("line-breaks-lost", _WHOLE.replace("\n", " ")),
        "all-in-one-line-without-blanks": ("line-breaks-lost", _WHOLE.replace("\n", "")),
        "json-string": ("line-breaks-lost", json.dumps(_WHOLE)),
        "nul-behind-the-certificate": (
            "one-block",
            "".join(block("CERTIFICATE", one.der + b"\0\0") for one in CHAIN),
        ),
        "line-feed-behind-the-certificate": (
            "one-block",
            "".join(block("CERTIFICATE", one.der + b"\n") for one in CHAIN),
        ),
        "no-break-space-around": ("trailing-blanks", "\u00a0\n" + _WHOLE + "\u00a0\n"),
    }
    return [
        accepted(name, f"pem {tag}", Sent("pem", text), *CHAIN)
        for name, (tag, text) in texts.items()
    ]


def _blocks() -> list[Case]:
    several = {
        "x509-label": ("x509-label", _WHOLE.replace(" CERTIFICATE", " X509 CERTIFICATE")),
        "with-parameters": ("ec-parameters", _EC_PARAMETERS + _WHOLE),
        "with-crl": ("crl", _WHOLE + block("X509 CRL", crl())),
        "with-request": ("many-blocks", block("CERTIFICATE REQUEST", request()) + _WHOLE),
        "with-dh-parameters": ("many-blocks", _WHOLE + block("DH PARAMETERS", b"\x30\0")),
        "with-public-key": ("many-blocks", block("PUBLIC KEY", LEAF.pair.spki) + _WHOLE),
    }
    return [
        *(
            accepted(name, f"pem many-blocks {tag}", Sent("pem", text), *CHAIN)
            for name, (tag, text) in several.items()
        ),
        accepted(
            "chain-without-root", "pem many-blocks", Sent("pem", pem(DEEP, MIDDLE)), DEEP, MIDDLE
        ),
        accepted(
            "lone-leaf",
            "pem one-block",
            Sent("pem", pem(LEAF)),
            LEAF,
            warnings=["incomplete_chain"],
        ),
        accepted(
            "self-signed", "pem one-block", Sent("pem", pem(LONE)), LONE, warnings=["self_signed"]
        ),
        accepted(
            "leaf-twice",
            "pem many-blocks",
            Sent("pem", pem(LEAF, LEAF, ROOT)),
            *CHAIN,
            count=3,
            warnings=["chain_out_of_order"],
        ),
        accepted(
            "trusted-certificate",
            "pem trusted-label",
            Sent("pem", block("TRUSTED CERTIFICATE", LEAF.der + b"\x30\x00") + pem(ROOT)),
            *CHAIN,
        ),
        refused(
            "certificate-and-pkcs7",
            "pem many-blocks not-this-format",
            Sent("pem", _WHOLE + block("PKCS7", cms.certs_only(LEAF.der))),
            CONTENT,
            "not_this_format",
            "'pkcs7'",
        ),
    ]


def _keys() -> list[Case]:
    own, other = key_pem(LEAF.pair), key_pem(OTHER.pair)
    foreign = key_pem(STRANGER)
    orders = {
        "key-first": own + _WHOLE,
        "key-last": _WHOLE + own,
        "key-in-the-middle": pem(LEAF) + own + pem(ROOT),
        "key-with-parameters": _EC_PARAMETERS
        + block("EC PRIVATE KEY", LEAF.pair.traditional)
        + _WHOLE,
        "same-key-twice": own + _WHOLE + block("EC PRIVATE KEY", LEAF.pair.traditional),
        "two-keys-own-first": own + other + _WHOLE,
        "two-keys-own-last": foreign + own + _WHOLE,
    }
    two = pem(LEAF, OTHER, ROOT)
    return [
        *(
            accepted(name, "pem block-order key-inside", Sent("pem", text), *CHAIN, key=LEAF.pair)
            for name, text in orders.items()
        ),
        accepted(
            "two-leaves-two-keys",
            "pem several-keys",
            Sent("pem", other + own + two),
            *CHAIN,
            key=LEAF.pair,
            count=3,
            warnings=["chain_out_of_order"],
        ),
        accepted(
            "two-leaves-key-of-the-second",
            "pem several-keys leaf-not-first",
            Sent("pem", two, other),
            OTHER,
            ROOT,
            key=OTHER.pair,
            count=3,
            warnings=["chain_out_of_order"],
        ),
        refused(
            "two-keys-none-fits",
            "pem several-keys key-mismatch",
            Sent("pem", _WHOLE + foreign + other),
            CONTENT,
            "key_mismatch",
        ),
    ]


def _orders() -> list[Case]:
    orders = {
        "root-first": (ROOT, MIDDLE, DEEP),
        "root-and-ca-swapped": (DEEP, ROOT, MIDDLE),
        "ca-first": (MIDDLE, DEEP, ROOT),
        "leaf-in-the-middle": (ROOT, DEEP, MIDDLE),
    }
    return [
        accepted(
            f"order-{name}{'-with-key' if key else ''}",
            "pem block-order chain-order leaf-not-first",
            Sent("pem", pem(*order), key_pem(DEEP.pair) if key else None),
            *LONG,
            key=DEEP.pair if key else None,
            warnings=["chain_out_of_order"],
        )
        for name, order in orders.items()
        for key in (False, True)
    ]


def _utf16() -> list[Case]:
    """What Windows programs save: pasted as it is, or sent in base64 like any file."""
    files = {
        "utf-16-le": _WHOLE.encode("utf-16-le"),
        "utf-16-le-bom": b"\xff\xfe" + _WHOLE.encode("utf-16-le"),
        "utf-16-be-bom": b"\xfe\xff" + _WHOLE.encode("utf-16-be"),
        "utf-8": _WHOLE.encode(),
        "utf-8-bom": b"\xef\xbb\xbf" + _WHOLE.encode(),
        "crlf": _WHOLE.replace("\n", "\r\n").encode(),
    }
    pasted = {
        "pasted-utf-16-le": "\0".join(_WHOLE) + "\0",
        "pasted-utf-16-be": "\0" + "\0".join(_WHOLE),
        "pasted-utf-16-le-bom": "\ufeff" + "\0".join(_WHOLE) + "\0",
    }
    return [
        *(
            accepted(
                f"base64-of-{name}", "pem utf-16 base64-of-text", Sent("pem", b64(data)), *CHAIN
            )
            for name, data in files.items()
        ),
        *(accepted(name, "pem utf-16", Sent("pem", text), *CHAIN) for name, text in pasted.items()),
    ]


def _broken() -> list[Case]:
    text = pem(LEAF)
    broken = {
        "cut-off": (text[: len(text) // 2], "malformed"),
        "no-end-line": (text.split("-----END")[0], "malformed"),
        "no-begin-line": (text.split("-----\n", 1)[1], "malformed"),
        "four-dashes": (text.replace("-----BEGIN", "----BEGIN"), "malformed"),
        "begin-line-without-end": (
            text.replace("CERTIFICATE-----\n", "CERTIFICATE-----", 1),
            "malformed",
        ),
        "end-line-without-begin": (text.replace("\n-----END", "-----END"), "malformed"),
        "files-joined-without-line-break": (text.rstrip() + text, "malformed"),
        "labels-disagree": (text.replace("END CERTIFICATE", "END PKCS7"), "malformed"),
        "star-in-base64": (text.replace("M", "*", 1), "invalid_base64"),
        "umlaut-in-base64": (text.replace("M", "ä", 1), "invalid_base64"),
        "one-character-lost": (text[:90] + text[91:], "invalid_base64"),
        "empty-block": ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "malformed"),
        "no-certificate-in-the-block": (block("CERTIFICATE", b"hello"), "malformed"),
        "garbage-after-the-certificate": (block("CERTIFICATE", LEAF.der + b"\1"), "malformed"),
        "certificate-cut-short": (block("CERTIFICATE", LEAF.der[:-20]), "malformed"),
        "second-one-cut-short": (text + block("CERTIFICATE", ROOT.der[:-20]), "malformed"),
        "empty": ("", "empty"),
        "blanks-only": (" \r\n\t ", "empty"),
        "bom-only": ("\ufeff", "empty"),
        "lone-surrogate": ("\ud800" + text, "malformed"),
        "parameters-only": (_EC_PARAMETERS, "no_certificate"),
    }
    return [
        refused(name, f"pem {str(reason).replace('_', '-')}", Sent("pem", content), CONTENT, reason)
        for name, (content, reason) in broken.items()
    ]


def _written_by_openssl() -> list[Case]:
    """`openssl x509 -text` and `openssl pkcs12 -nodes`: text that people paste as it is."""
    whole = "".join(openssl.run("x509", "-text", stdin=pem(one).encode()).decode() for one in CHAIN)
    file = openssl.pkcs12(_OWN.encode(), [pem(LEAF).encode()], "x", issuers=[pem(ROOT).encode()])
    opened = openssl.run("pkcs12", "-in", "f", "-nodes", "-passin", "pass:x", files={"f": file})
    trusted = openssl.run("x509", "-trustout", "-setalias", "mine", stdin=pem(LEAF).encode())
    return [
        accepted("openssl-x509-text", "pem text-around openssl", Sent("pem", whole), *CHAIN),
        accepted(
            "openssl-pkcs12-nodes",
            "pem text-around openssl key-inside",
            Sent("pem", opened.decode()),
            *CHAIN,
            key=LEAF.pair,
        ),
        accepted(
            "openssl-trustout",
            "pem trusted-label openssl",
            Sent("pem", trusted.decode() + pem(ROOT)),
            *CHAIN,
        ),
        accepted(
            "base64-of-pem-with-key",
            "pem base64-of-text key-inside",
            Sent("pem", base64.encodebytes((_WHOLE + _OWN).encode()).decode()),
            *CHAIN,
            key=LEAF.pair,
        ),
    ]
