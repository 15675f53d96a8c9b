"""PKCS#12 as openssl and `cryptography` write it; Java's own is in `java`."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, load_der_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PBES,
    PKCS12Certificate,
    serialize_java_truststore,
    serialize_key_and_certificates,
)

from tests.vectors.certificate_corpus import openssl
from tests.vectors.certificate_corpus.case import Case, Sent, accepted
from tests.vectors.certificate_corpus.families.pkcs12 import DERS, LEGACY, PKCS8, WORDS, opens
from tests.vectors.certificate_corpus.people import CHAIN, LEAF, ROOT, RSA_LEAF
from tests.vectors.certificate_corpus.texts import b64, key_pem, pem


def cases() -> list[Case]:
    """All of them."""
    return [*_written_by_openssl(), *_written_by_cryptography()]


def _written_by_openssl() -> list[Case]:
    key = key_pem(LEAF.pair).encode()
    own, issuers = [pem(LEAF).encode()], [pem(ROOT).encode()]
    options: dict[str, tuple[tuple[str, ...], list[str]]] = {
        "3.0": ((), []),
        "1.1": (("-legacy",), LEGACY),
        "descert": (("-descert", "-keypbe", "PBE-SHA1-3DES"), LEGACY),
        "rc2-128": (("-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"), LEGACY),
        "rc4-128": (("-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-128"), LEGACY),
        "rc4-40": (("-certpbe", "PBE-SHA1-RC4-40", "-keypbe", "PBE-SHA1-RC4-40"), LEGACY),
        "aes-128": (("-certpbe", "AES-128-CBC", "-keypbe", "AES-128-CBC"), []),
        "aes-192-sha512-mac": (
            ("-certpbe", "AES-192-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha512"),
            [],
        ),
        "certificates-not-encrypted": (("-certpbe", "NONE"), []),
        "nothing-encrypted": (("-certpbe", "NONE", "-keypbe", "NONE"), []),
        "without-mac": (("-nomac",), []),
        "one-round": (("-noiter", "-nomaciter"), []),
        "600000-rounds": (("-iter", "300000"), []),
        "friendly-names": (("-name", "my key", "-caname", "the CA", "-CSP", "Microsoft"), []),
        "local-machine": (("-LMK", "-keyex"), []),
    }
    found = [
        opens(
            f"openssl-{name}",
            "openssl",
            b64(openssl.pkcs12(key, own, WORDS, *chosen, issuers=issuers)),
            WORDS,
            *warnings,
        )
        for name, (chosen, warnings) in options.items()
    ]
    without_key = openssl.pkcs12(None, [*own, *issuers], WORDS)
    empty = openssl.pkcs12(key, own, "", issuers=issuers)
    umlauts = openssl.pkcs12(key, own, "Größe 42", "-legacy", issuers=issuers)
    rsa = openssl.pkcs12(key_pem(RSA_LEAF.pair).encode(), [pem(RSA_LEAF).encode()], WORDS)
    found += [
        accepted(
            "openssl-nokeys", "pfx openssl", Sent("pfx", b64(without_key), None, WORDS), *CHAIN
        ),
        opens("openssl-empty-passphrase", "openssl passphrase-empty", b64(empty), None),
        opens("openssl-umlauts", "openssl passphrase-non-ascii", b64(umlauts), "Größe 42", *LEGACY),
        accepted(
            "openssl-rsa",
            "p12 openssl rsa",
            Sent("p12", b64(rsa), None, WORDS),
            RSA_LEAF,
            key=RSA_LEAF.pair,
            warnings=["incomplete_chain"],
        ),
    ]
    return found


def _written_by_cryptography() -> list[Case]:
    leaf, root = (x509.load_der_x509_certificate(der) for der in DERS)
    key = load_der_private_key(PKCS8, None)
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(512)
    ways = {
        "aes": (builder.key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC), []),
        "3des": (
            builder.key_cert_algorithm(PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()),
            LEGACY,
        ),
    }
    found = []
    for name, (way, warnings) in ways.items():
        sealed = way.build(WORDS.encode())
        data = serialize_key_and_certificates(b"alias", key, leaf, [root], sealed)  # type: ignore[arg-type]
        found.append(opens(f"cryptography-{name}", "cryptography", b64(data), WORDS, *warnings))
    entries = [PKCS12Certificate(one, b"alias") for one in (leaf, root)]
    trust = serialize_java_truststore(entries, ways["aes"][0].build(WORDS.encode()))
    found.append(
        accepted(
            "cryptography-java-truststore",
            "pfx java",
            Sent("pfx", b64(trust), None, WORDS),
            *CHAIN,
        )
    )
    return found
