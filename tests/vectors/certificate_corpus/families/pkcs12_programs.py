"""PKCS#12 as programs write it: by them, or in their shapes. Java's own is in `java`."""

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

from tests.vectors.certificate_corpus import openssl, pbe, pfx
from tests.vectors.certificate_corpus.case import Case, Sent, accepted
from tests.vectors.certificate_corpus.families.pkcs12 import LEGACY, WORDS
from tests.vectors.certificate_corpus.families.pkcs12_contents import DERS, PKCS8
from tests.vectors.certificate_corpus.people import CHAIN, LEAF, MIDDLE, ROOT, RSA_LEAF
from tests.vectors.certificate_corpus.texts import b64, block, key_pem, pem

_AES = pbe.pbes2(WORDS)
_TRIPLE_DES = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC")
_RC2 = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And40BitRC2-CBC")


def _opens(name: str, covers: str, content: str, passphrase: str | None, *warnings: str) -> Case:
    """A file with the usual certificates and their key."""
    sent = Sent("p12", content, None, passphrase)
    return accepted(name, f"p12 {covers}", sent, *CHAIN, key=LEAF.pair, warnings=warnings)


def _sent(content: str) -> Sent:
    return Sent("p12", content, None, WORDS)


def cases() -> list[Case]:
    """All of them."""
    return [*_written_by_openssl(), *_written_by_cryptography(), *_programs()]


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
        _opens(
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
        _opens("openssl-empty-passphrase", "openssl passphrase-empty", b64(empty), None),
        _opens(
            "openssl-umlauts", "openssl passphrase-non-ascii", b64(umlauts), "Größe 42", *LEGACY
        ),
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
        found.append(_opens(f"cryptography-{name}", "cryptography", b64(data), WORDS, *warnings))
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


def _programs() -> list[Case]:
    """The shapes of Java, Windows, macOS, Firefox and GnuTLS, as they write them."""
    alias = (pfx.friendly_name("tomcat"), pfx.local_key_id(b"Time 1767225600000"))
    java_old = pfx.pfx(
        [
            pfx.plain(pfx.shrouded_bag(PKCS8, _TRIPLE_DES, *alias)),
            pfx.encrypted(
                _RC2,
                pfx.certificate_bag(LEAF.der, *alias),
                pfx.certificate_bag(ROOT.der, pfx.friendly_name("CN=Corpus Root")),
            ),
        ],
        WORDS,
        pfx.Mac("sha1"),
    )
    java_new = pfx.pfx(
        [
            pfx.plain(pfx.shrouded_bag(PKCS8, _AES, *alias)),
            pfx.encrypted(
                _AES, pfx.certificate_bag(LEAF.der, *alias), pfx.certificate_bag(ROOT.der)
            ),
        ],
        WORDS,
        pfx.Mac(),
    )
    trust = pfx.pfx(
        [
            pfx.encrypted(
                _AES,
                *(
                    pfx.certificate_bag(
                        one.der, pfx.friendly_name(f"ca{number}"), pfx.trusted_key_usage()
                    )
                    for number, one in enumerate((MIDDLE, ROOT))
                ),
            )
        ],
        WORDS,
        pfx.Mac(),
    )
    windows_key = pfx.shrouded_bag(
        PKCS8,
        _TRIPLE_DES,
        pfx.local_machine_keyset(),
        pfx.local_key_id(b"\1\0\0\0"),
        pfx.friendly_name("{0C4A1D2E-9E1B-4F2E-8F70-3C1A2B3C4D5E}"),
        pfx.csp_name("Microsoft Software Key Storage Provider"),
    )
    windows = pfx.pfx(
        [
            pfx.plain(windows_key),
            pfx.encrypted(
                _TRIPLE_DES,
                pfx.certificate_bag(ROOT.der),
                pfx.certificate_bag(LEAF.der, pfx.local_key_id(b"\1\0\0\0")),
            ),
        ],
        WORDS,
        pfx.Mac("sha1"),
    )
    mac = (pfx.friendly_name("Imported Private Key"), pfx.local_key_id(bytes(20)))
    macos_safes = [
        pfx.encrypted(_RC2, pfx.certificate_bag(LEAF.der, *mac), pfx.certificate_bag(ROOT.der)),
        pfx.plain(pfx.shrouded_bag(PKCS8, _TRIPLE_DES, *mac)),
    ]
    firefox = pfx.ber_pfx(macos_safes, WORDS, pfx.Mac("sha1", None))
    armored = block("PKCS12", pfx.pfx(macos_safes, WORDS, pfx.Mac("sha1")))
    return [
        accepted(
            "gnutls-armor",
            "p12 gnutls",
            _sent(armored),
            *CHAIN,
            key=LEAF.pair,
            warnings=LEGACY,
        ),
        accepted(
            "java-8", "p12 java", _sent(b64(java_old)), *CHAIN, key=LEAF.pair, warnings=LEGACY
        ),
        accepted("java-17", "p12 java", _sent(b64(java_new)), *CHAIN, key=LEAF.pair),
        accepted("java-truststore", "p12 java", _sent(b64(trust)), MIDDLE, ROOT),
        accepted(
            "windows",
            "p12 windows leaf-not-first",
            _sent(b64(windows)),
            *CHAIN,
            key=LEAF.pair,
            warnings=["chain_out_of_order", *LEGACY],
        ),
        accepted(
            "macos",
            "p12 macos",
            _sent(b64(pfx.pfx(macos_safes, WORDS, pfx.Mac("sha1", 1)))),
            *CHAIN,
            key=LEAF.pair,
            warnings=LEGACY,
        ),
        accepted(
            "firefox",
            "p12 ber firefox",
            _sent(b64(firefox)),
            *CHAIN,
            key=LEAF.pair,
            warnings=["ber_encoding", *LEGACY],
        ),
    ]
