"""Private keys beside their certificate, encrypted in every way; part of the family `keys`."""

from __future__ import annotations

from tests.vectors.certificate_corpus import asn1, openssl, pbe
from tests.vectors.certificate_corpus.authority import Issued, dsa_pair, issue
from tests.vectors.certificate_corpus.case import (
    KEY,
    PASSPHRASE,
    Case,
    Sent,
    accepted,
    refused,
)
from tests.vectors.certificate_corpus.people import ED_LEAF, LEAF, ROOT, RSA_LEAF
from tests.vectors.certificate_corpus.texts import block, key_pem, pem

WORDS = "open the coffer"
_LEGACY = ("legacy_encryption",)


def sealed(scheme: pbe.Scheme, leaf: Issued = LEAF) -> str:
    """The leaf's key in PEM."""
    return block("ENCRYPTED PRIVATE KEY", scheme.encrypted_key(leaf.pair.pkcs8))


def _opens(
    name: str,
    covers: str,
    key: str,
    *warnings: str,
    words: str = WORDS,
    leaf: Issued = LEAF,
) -> Case:
    return accepted(
        name,
        f"encrypted-key {covers}",
        Sent("pem", pem(leaf), key, words),
        leaf,
        key=leaf.pair,
        warnings=["incomplete_chain", *warnings],
    )


def cases() -> list[Case]:
    """All of them."""
    return [
        *_schemes(),
        *_written_by_openssl(),
        *_traditional(),
        *_passphrases(),
        *_refused_passphrases(),
        *_refused_methods(),
    ]


def _schemes() -> list[Case]:
    found = [
        _opens(
            f"pbes2-{cipher}".lower(), f"pbes2 {cipher.lower()}", sealed(pbe.pbes2(WORDS, cipher))
        )
        for cipher in (
            "AES-128-CBC",
            "AES-192-CBC",
            "AES-256-CBC",
            "CAMELLIA-256-CBC",
            "AES-256-GCM",
        )
    ]
    for prf in pbe.PRFS:
        scheme = pbe.pbes2(WORDS, prf=prf)
        found.append(_opens(f"pbes2-{prf}".lower(), f"pbes2 {prf.lower()}", sealed(scheme)))
    for cipher in ("DES-EDE3-CBC", "DES-CBC", "RC2-40-CBC", "RC2-64-CBC", "RC2-128-CBC"):
        scheme = pbe.pbes2(WORDS, cipher, "hmacWithSHA1")
        found.append(_opens(f"pbes2-{cipher}".lower(), "pbes2 legacy", sealed(scheme), *_LEGACY))
    found += [
        _opens(name.lower(), "pbes1", sealed(pbe.pbes1(WORDS, name)), *_LEGACY)
        for name in pbe.PBES1_SCHEMES
    ]
    for name in pbe.PKCS12_SCHEMES:
        scheme = pbe.pkcs12_pbe(WORDS, name)
        found.append(_opens(name.lower(), "pkcs12-pbe", sealed(scheme), *_LEGACY))
    found += [
        _opens("scrypt", "scrypt", sealed(pbe.scrypt(WORDS))),
        _opens("scrypt-p-4", "scrypt", sealed(pbe.scrypt(WORDS, n=256, r=4, p=4))),
        _opens("pbes2-key-length", "pbes2", sealed(pbe.pbes2(WORDS, key_length=True))),
        _opens("pbes2-rsa", "pbes2 rsa", sealed(pbe.pbes2(WORDS), RSA_LEAF), leaf=RSA_LEAF),
        _opens("pbes2-ed25519", "pbes2 ed25519", sealed(pbe.pbes2(WORDS), ED_LEAF), leaf=ED_LEAF),
        _opens("pbes2-600000-rounds", "pbes2", sealed(pbe.pbes2(WORDS, rounds=600_000))),
    ]
    return found


def _written_by_openssl() -> list[Case]:
    key = key_pem(LEAF.pair).encode()
    ways: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "default": ((), ()),
        "aes-128-sha512": (("-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"), ()),
        "des3": (("-v2", "des3"), _LEGACY),
        "des3-sha1": (("-v2", "des3", "-v2prf", "hmacWithSHA1"), _LEGACY),
        "scrypt": (("-scrypt", "-scrypt_N", "1024"), ()),
        "pbe-md5-des": (("-v1", "PBE-MD5-DES"), _LEGACY),
        "pbe-sha1-3des": (("-v1", "PBE-SHA1-3DES"), _LEGACY),
        "pbe-sha1-rc2-40": (("-v1", "PBE-SHA1-RC2-40"), _LEGACY),
        "pbe-sha1-rc4-128": (("-v1", "PBE-SHA1-RC4-128"), _LEGACY),
    }
    return [
        _opens(
            f"openssl-pkcs8-{name}",
            "openssl",
            openssl.pkcs8(key, WORDS, *options).decode(),
            *warnings,
        )
        for name, (options, warnings) in ways.items()
    ]


def _traditional() -> list[Case]:
    """`Proc-Type: 4,ENCRYPTED`: the passphrase goes through one round of MD5, hence always legacy."""
    dsa_leaf = issue("dsa.example", by=ROOT, pair=dsa_pair())
    found = []
    for command, leaf in (("rsa", RSA_LEAF), ("ec", LEAF), ("dsa", dsa_leaf)):
        ciphers = ("aes128", "aes192", "aes256", "des", "des3") if command != "dsa" else ("des3",)
        for cipher in ciphers:
            key = openssl.traditional(command, key_pem(leaf.pair).encode(), WORDS, cipher).decode()
            covers = f"traditional traditional-{cipher} openssl"
            found.append(
                _opens(f"traditional-{command}-{cipher}", covers, key, *_LEGACY, leaf=leaf)
            )
    key = openssl.traditional("ec", key_pem(LEAF.pair).encode(), WORDS, "aes256").decode()
    found += [
        _opens("traditional-crlf", "traditional crlf", key.replace("\n", "\r\n"), *_LEGACY),
        _opens(
            "traditional-ec-parameters",
            "traditional ec-parameters",
            block("EC PARAMETERS", bytes.fromhex("06082a8648ce3d030107")) + key,
            *_LEGACY,
        ),
    ]
    for name, words, reason in (
        ("wrong", "close the coffer", "wrong_passphrase"),
        ("missing", None, "passphrase_required"),
    ):
        for cipher in ("des", "aes256"):
            old = openssl.traditional("rsa", key_pem(RSA_LEAF.pair).encode(), WORDS, cipher)
            found.append(
                refused(
                    f"traditional-{cipher}-{name}-passphrase",
                    f"traditional {reason.replace('_', '-')}",
                    Sent("pem", pem(RSA_LEAF), old.decode(), words),
                    PASSPHRASE,
                    reason,
                )
            )
    lines = key.splitlines()
    base64 = lines[4:-1]
    damaged = {
        "without-dek-info": ([*lines[:2], *lines[3:]], "DEK-Info"),
        "cut-inside-a-block": ([*lines[:4], *base64[:-1], base64[-1][:4], lines[-1]], "was cut"),
    }
    found += [
        refused(
            f"traditional-{name}",
            "traditional invalid-private-key",
            Sent("pem", pem(LEAF), "\n".join(text), WORDS),
            KEY,
            "invalid_private_key",
            said,
        )
        for name, (text, said) in damaged.items()
    ]
    aria = openssl.traditional("ec", key_pem(LEAF.pair).encode(), WORDS, "aria256").decode()
    camellia = openssl.traditional("ec", key_pem(LEAF.pair).encode(), WORDS, "camellia256").decode()
    found += [
        _opens("traditional-camellia", "traditional openssl", camellia, *_LEGACY),
        refused(
            "traditional-aria",
            "traditional unsupported-algorithm openssl",
            Sent("pem", pem(LEAF), aria, WORDS),
            KEY,
            "unsupported_algorithm",
        ),
    ]
    return found


def _passphrases() -> list[Case]:
    found = []
    for name, words in (("umlauts", "Größe 42"), ("emoji", "key 😀 key"), ("blanks", "  x  ")):
        triple = pbe.pkcs12_pbe(words, "pbeWithSHA1And3-KeyTripleDES-CBC")
        covers = "passphrase-non-ascii" if not words.isascii() else "passphrase-odd"
        modern = sealed(pbe.pbes2(words))
        found += [
            _opens(f"passphrase-{name}-pbes2", covers, modern, words=words),
            _opens(f"passphrase-{name}-pkcs12", covers, sealed(triple), *_LEGACY, words=words),
        ]
    # openssl takes what the terminal sends, and before UTF-8 that was this in western Europe
    words, name = "Größe 42 €", "pbeWithMD5AndDES-CBC"
    pbes1 = sealed(pbe.pbes1(words, name, encoding="cp1252"))
    found += [
        _opens(
            "passphrase-windows-1252-pbes2",
            "passphrase-non-ascii",
            sealed(pbe.pbes2(words, encoding="cp1252")),
            words=words,
        ),
        _opens(
            "passphrase-windows-1252-pbes1", "passphrase-non-ascii", pbes1, *_LEGACY, words=words
        ),
    ]
    found.append(
        accepted(
            "passphrase-for-a-plain-key",
            "key-beside passphrase-not-needed",
            Sent("pem", pem(LEAF), key_pem(LEAF.pair), "for the proxy"),
            LEAF,
            key=LEAF.pair,
            warnings=["incomplete_chain"],
        )
    )
    return found


def _refused_passphrases() -> list[Case]:
    ways = {
        "pbes2": pbe.pbes2(WORDS),
        "pbes2-rc2": pbe.pbes2(WORDS, "RC2-128-CBC"),
        "pbes1": pbe.pbes1(WORDS, "pbeWithMD5AndDES-CBC"),
        "3des": pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC"),
        "rc4": pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And128BitRC4"),
        "scrypt": pbe.scrypt(WORDS),
    }
    return [
        refused(
            f"{name}-{kind}-passphrase",
            f"encrypted-key {reason.replace('_', '-')}",
            Sent("pem", pem(LEAF), sealed(scheme), words),
            PASSPHRASE,
            reason,
        )
        for name, scheme in ways.items()
        for kind, words, reason in (
            ("wrong", "close the coffer", "wrong_passphrase"),
            ("missing", None, "passphrase_required"),
            ("empty", "", "passphrase_required"),
        )
        if kind != "empty" or name == "pbes2"
    ]


def _refused_methods() -> list[Case]:
    aes = asn1.algorithm("2.16.840.1.101.3.4.1.42", asn1.octets(bytes(16)))
    methods = {
        "unknown-scheme": (asn1.algorithm("1.2.3.4"), "1.2.3.4"),
        "unknown-kdf": (pbe.pbes2_of(asn1.algorithm("1.2.3.4"), aes), "1.2.3.4"),
        "aria": (pbe.pbes2_of(pbe.pbkdf2_algorithm(), pbe.ARIA), "ARIA"),
        "md2": (
            asn1.algorithm(
                "1.2.840.113549.1.5.1", asn1.sequence(asn1.octets(pbe.SALT), asn1.integer(1))
            ),
            "MD2",
        ),
    }
    return [
        refused(
            f"method-{name}{suffix}",
            "encrypted-key unsupported-algorithm",
            Sent(
                "pem",
                pem(LEAF),
                block("ENCRYPTED PRIVATE KEY", asn1.sequence(algorithm, asn1.octets(bytes(160)))),
                words,
            ),
            KEY,
            "unsupported_algorithm",
            said,
        )
        for name, (algorithm, said) in methods.items()
        for suffix, words in (("", WORDS), ("-without-passphrase", None))
        if not suffix or name == "unknown-scheme"
    ]
