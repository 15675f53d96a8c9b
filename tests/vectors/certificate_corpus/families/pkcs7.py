"""PKCS#7 and CMS as a carrier of certificates."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates

from tests.vectors.certificate_corpus import asn1, cms, openssl
from tests.vectors.certificate_corpus.case import (
    CONTENT,
    KEY,
    PASSPHRASE,
    Case,
    Sent,
    accepted,
    refused,
)
from tests.vectors.certificate_corpus.pbe import pbes2
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
)
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, lines, pem

_DERS = tuple(one.der for one in CHAIN)
_TYPES = ("pkcs7", "p7b", "p7c")


def cases() -> list[Case]:
    """All of them."""
    return [*_shapes(), *_written_by_programs(), *_orders(), *_with_key(), *_empty(), *_broken()]


def _shapes() -> list[Case]:
    whole = cms.certs_only(*_DERS)
    texts = {
        "pem": ("pkcs7-pem", block("PKCS7", whole)),
        "pem-crlf": ("pkcs7-pem crlf", block("PKCS7", whole).replace("\n", "\r\n")),
        "pem-text-around": ("pkcs7-pem text-around", f"subject=x\n\n{block('PKCS7', whole)}bye\n"),
        "pem-bom": ("pkcs7-pem bom", "\ufeff" + block("PKCS7", whole)),
        "pem-cms-label": ("pkcs7-pem", block("CMS", whole)),
        "pem-signed-data-label": ("pkcs7-pem", block("PKCS #7 SIGNED DATA", whole)),
        "pem-iis-label": ("pkcs7-pem iis-label", block("CERTIFICATE", whole)),
        "der": ("pkcs7-der", b64(whole)),
        "der-in-lines": ("pkcs7-der", lines(whole)),
        "with-crl": ("pkcs7-der crl", b64(cms.certs_only(*_DERS, crls=(crl(),)))),
        "with-crl-pem": ("pkcs7-pem crl", block("PKCS7", cms.certs_only(*_DERS, crls=(crl(),)))),
        "with-two-crls": ("pkcs7-der crl", b64(cms.certs_only(*_DERS, crls=(crl(), crl(LONE))))),
        "with-content": ("pkcs7-der pkcs7-content", b64(cms.certs_only(*_DERS, content=b"hello"))),
        "version-3": ("pkcs7-der", b64(cms.certs_only(*_DERS, version=3))),
    }
    found = [
        accepted(f"{kind}-{name}", f"{kind} {covers}", Sent(kind, text), *CHAIN)
        for name, (covers, text) in texts.items()
        for kind in (_TYPES if name in {"pem", "der", "with-crl"} else ("p7b",))
    ]
    for name, text in {
        "ber": b64(asn1.ber(whole)),
        "ber-pem": block("PKCS7", asn1.ber(whole)),
        "ber-with-crl": b64(asn1.ber(cms.certs_only(*_DERS, crls=(crl(),)))),
    }.items():
        found.append(
            accepted(f"p7b-{name}", "p7b ber", Sent("p7b", text), *CHAIN, warnings=["ber_encoding"])
        )
    return found


def _written_by_programs() -> list[Case]:
    ders = [x509.load_der_x509_certificate(der) for der in _DERS]
    pems = [pem(one).encode() for one in CHAIN]
    list_pem = block("X509 CRL", crl()).encode()
    signing = {"cert": pems[0], "key": key_pem(LEAF.pair).encode(), "more": pems[1]}
    sign = ("-sign", "-binary", "-signer", "cert", "-inkey", "key", "-certfile", "more")
    signed = openssl.run(
        "cms", *sign, "-nodetach", "-outform", "DER", files=signing, stdin=b"a text"
    )
    streamed = openssl.run(
        "cms", *sign, "-nodetach", "-stream", "-outform", "DER", files=signing, stdin=b"a text"
    )
    smime = openssl.run("smime", *sign, "-outform", "PEM", files=signing, stdin=b"a text")
    texts = {
        "cryptography-der": b64(serialize_certificates(ders, Encoding.DER)),
        "cryptography-pem": serialize_certificates(ders, Encoding.PEM).decode(),
        "openssl-pem": openssl.crl2pkcs7(pems).decode(),
        "openssl-der": b64(openssl.crl2pkcs7(pems, form="DER")),
        "openssl-crl": openssl.crl2pkcs7(pems, list_pem).decode(),
        "openssl-detached-signature": smime.decode(),
        "openssl-signed-message": b64(signed),
    }
    found = [
        accepted(f"p7b-{name}", "p7b openssl", Sent("p7b", text), *CHAIN)
        for name, text in texts.items()
    ]
    found.append(
        accepted(
            "p7b-openssl-streamed-ber",
            "p7b ber openssl",
            Sent("p7b", b64(streamed)),
            *CHAIN,
            warnings=["ber_encoding"],
        )
    )
    return found


def _orders() -> list[Case]:
    """The certificates are a SET: no order of theirs is wrong, and every one gives the same chain."""
    orders = {
        "leaf-last": (ROOT, MIDDLE, DEEP),
        "leaf-in-the-middle": (ROOT, DEEP, MIDDLE),
        "ca-first": (MIDDLE, DEEP, ROOT),
        "leaf-first": LONG,
    }
    found = [
        accepted(
            f"p7b-order-{name}",
            "p7b chain-order leaf-not-first",
            Sent("p7b", b64(cms.certs_only(*(one.der for one in order)))),
            *LONG,
        )
        for name, order in orders.items()
    ]
    found += [
        accepted(
            "p7b-lone-leaf",
            "p7b incomplete-chain",
            Sent("p7b", b64(cms.certs_only(LEAF.der))),
            LEAF,
            warnings=["incomplete_chain"],
        ),
        accepted(
            "p7b-authorities-only",
            "p7b chain-order",
            Sent("p7b", b64(cms.certs_only(MIDDLE.der, ROOT.der))),
            MIDDLE,
            ROOT,
        ),
        accepted(
            "p7b-self-signed",
            "p7b",
            Sent("p7b", b64(cms.certs_only(LONE.der))),
            LONE,
            warnings=["self_signed"],
        ),
    ]
    return found


def _with_key() -> list[Case]:
    text = block("PKCS7", cms.certs_only(ROOT.der, OTHER.der, LEAF.der))
    scheme = pbes2("a key's own")
    sealed = block("ENCRYPTED PRIVATE KEY", scheme.encrypted_key(LEAF.pair.pkcs8))
    return [
        accepted(
            f"{kind}-with-key",
            f"{kind} key-beside leaf-not-first",
            Sent(kind, text, key_pem(LEAF.pair)),
            *CHAIN,
            key=LEAF.pair,
            count=3,
        )
        for kind in _TYPES
    ] + [
        accepted(
            "p7b-with-encrypted-key",
            "p7b key-beside",
            Sent("p7b", text, sealed, "a key's own"),
            *CHAIN,
            key=LEAF.pair,
            count=3,
        ),
        refused(
            "p7b-with-encrypted-key-no-passphrase",
            "p7b passphrase-required",
            Sent("p7b", text, sealed),
            PASSPHRASE,
            "passphrase_required",
        ),
        refused(
            "p7b-with-another-key",
            "p7b key-mismatch",
            Sent("p7b", text, key_pem(STRANGER)),
            KEY,
            "key_mismatch",
        ),
    ]


def _empty() -> list[Case]:
    files = {
        "empty": cms.certs_only(),
        "without-the-member": cms.certs_only(omit_certificates=True),
        "crl-only": cms.certs_only(crls=(crl(),), omit_certificates=True),
        "no-content": asn1.sequence(asn1.oid(cms.SIGNED)),
        "empty-ber": asn1.ber(cms.certs_only()),
    }
    found = [
        refused(
            f"{kind}-{name}",
            f"{kind} empty-pkcs7 no-certificate",
            Sent(kind, b64(data)),
            CONTENT,
            "no_certificate",
        )
        for name, data in files.items()
        for kind in (_TYPES if name == "empty" else ("p7b",))
    ]
    only_list = openssl.crl2pkcs7([], block("X509 CRL", crl()).encode()).decode()
    found.append(
        refused(
            "p7b-openssl-crl-only",
            "p7b empty-pkcs7 no-certificate openssl",
            Sent("p7b", only_list),
            CONTENT,
            "no_certificate",
        )
    )
    return found


def _broken() -> list[Case]:
    whole = cms.certs_only(*_DERS)
    pkcs7 = "1.2.840.113549.1.7."
    others = {
        "data": cms.content_info(f"{pkcs7}1", asn1.octets(b"hello")),
        "enveloped-data": cms.content_info(
            f"{pkcs7}3", asn1.sequence(asn1.integer(0), asn1.set_of(), asn1.sequence())
        ),
        "encrypted-data": cms.content_info(
            f"{pkcs7}6", asn1.sequence(asn1.integer(0), asn1.sequence())
        ),
    }
    broken = {
        "cut-short": whole[:-40],
        "garbage-after": whole + b"\x01",
        "garbage-certificate": cms.certs_only(asn1.sequence(asn1.integer(5))),
        "certificate-cut-short": cms.certs_only(LEAF.der[:40]),
        "lying-length": whole[:5] + b"\x7f" + whole[6:],
        "ber-without-end": asn1.ber(whole)[:-2],
    }
    return [
        refused(f"p7b-{name}", "p7b malformed", Sent("p7b", b64(data)), CONTENT, "malformed")
        for name, data in broken.items()
    ] + [
        refused(
            f"p7b-{name}",
            "p7b no-certificate",
            Sent("p7b", b64(data)),
            CONTENT,
            "no_certificate" if name == "data" else "unsupported_algorithm",
        )
        for name, data in others.items()
    ]
