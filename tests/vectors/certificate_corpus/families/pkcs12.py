"""PKCS#12: what protects it."""

from __future__ import annotations

from tests.vectors.certificate_corpus import asn1, pbe, pfx
from tests.vectors.certificate_corpus.case import (
    CONTENT,
    PASSPHRASE,
    Case,
    Sent,
    accepted,
    refused,
)
from tests.vectors.certificate_corpus.people import LONE
from tests.vectors.certificate_corpus.texts import b64

WORDS = "open the coffer"
LEGACY = ["legacy_encryption"]
DERS = [LONE.der]
"""One small certificate: there are many files here."""
PKCS8 = LONE.pair.pkcs8


def store(
    passphrase: str | None,
    certificates: pbe.Scheme | None,
    key: pbe.Scheme | None,
    mac: pfx.Mac | pfx.Pbmac1 | None,
) -> str:
    """The usual shape, as it is sent."""
    return b64(pfx.usual(DERS, PKCS8, passphrase, certificates, key, mac))


def opens(
    name: str, covers: str, content: str, passphrase: str | None, *warnings: str, kind: str = "pfx"
) -> Case:
    """A file with that certificate and its key."""
    sent = Sent(kind, content, None, passphrase)
    said = ["self_signed", *warnings]
    return accepted(name, f"{kind} {covers}", sent, LONE, key=LONE.pair, warnings=said)


def cases() -> list[Case]:
    """All of them."""
    return [
        *_modern(),
        *_legacy(),
        *_macs(),
        *_passphrases(),
        *_ber(),
        *_refused_passphrases(),
        *_refused_methods(),
    ]


def _modern() -> list[Case]:
    """PBES2: each cipher with each PRF."""
    found = []
    for cipher in ("AES-128-CBC", "AES-192-CBC", "AES-256-CBC"):
        for prf in pbe.PRFS:
            scheme = pbe.pbes2(WORDS, cipher, prf)
            text = store(WORDS, scheme, scheme, pfx.Mac())
            covers = f"pbes2 {cipher.lower()} {prf.lower()}"
            found.append(opens(f"{cipher}-{prf}".lower(), covers, text, WORDS))
    old = {
        "DES-EDE3-CBC": "3des",
        "DES-CBC": "des",
        "RC2-40-CBC": "rc2-40",
        "RC2-128-CBC": "rc2-128",
    }
    for cipher, entry in old.items():
        scheme = pbe.pbes2(WORDS, cipher, "hmacWithSHA1")
        text = store(WORDS, scheme, scheme, pfx.Mac("sha1"))
        found.append(opens(f"pbes2-{cipher}".lower(), f"pbes2 {entry}", text, WORDS, *LEGACY))
    camellia = pbe.pbes2(WORDS, "CAMELLIA-256-CBC")
    with_length = pbe.pbes2(WORDS, key_length=True)
    cheap = pbe.scrypt(WORDS)
    found += [
        opens(
            "pbes2-key-length-written",
            "pbes2",
            store(WORDS, with_length, with_length, pfx.Mac()),
            WORDS,
        ),
        opens("pbes2-camellia", "pbes2", store(WORDS, camellia, camellia, pfx.Mac()), WORDS),
        opens("pbes2-scrypt", "pbes2 scrypt", store(WORDS, cheap, cheap, pfx.Mac()), WORDS),
    ]
    return found


def _legacy() -> list[Case]:
    """The schemes of PKCS#12 itself; the usual pairs, and one that only old programs wrote."""
    names = {
        "pbeWithSHA1And128BitRC4": "rc4-128",
        "pbeWithSHA1And40BitRC4": "rc4-40",
        "pbeWithSHA1And3-KeyTripleDES-CBC": "3des",
        "pbeWithSHA1And2-KeyTripleDES-CBC": "2des",
        "pbeWithSHA1And128BitRC2-CBC": "rc2-128",
        "pbeWithSHA1And40BitRC2-CBC": "rc2-40",
    }
    found = []
    for name, entry in names.items():
        scheme = pbe.pkcs12_pbe(WORDS, name)
        text = store(WORDS, scheme, scheme, pfx.Mac("sha1"))
        found.append(opens(entry, f"pkcs12-pbe {entry}", text, WORDS, *LEGACY, kind="p12"))
    rc2 = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And40BitRC2-CBC")
    triple = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC")
    old = pbe.pbes1(WORDS, "pbeWithMD5AndDES-CBC")
    modern = pbe.pbes2(WORDS)
    mixed = {
        "rc2-certificates-3des-key": (rc2, triple, LEGACY),
        "plain-certificates-3des-key": (None, triple, LEGACY),
        "rc2-certificates-plain-key": (rc2, None, LEGACY),
        "rc2-certificates-aes-key": (rc2, modern, LEGACY),
        "aes-certificates-3des-key": (modern, triple, LEGACY),
        "plain-certificates-aes-key": (None, modern, []),
        "nothing-encrypted": (None, None, []),
        "pbes1-key": (None, old, LEGACY),
    }
    for name, (certificates, key, warnings) in mixed.items():
        text = store(WORDS, certificates, key, pfx.Mac("sha1"))
        found.append(opens(name, "mixed-encryption", text, WORDS, *warnings))
    return found


def _macs() -> list[Case]:
    modern = pbe.pbes2(WORDS)
    macs: dict[str, pfx.Mac | pfx.Pbmac1 | None] = {
        f"mac-{digest}": pfx.Mac(digest)
        for digest in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
    }
    macs["mac-one-round"] = pfx.Mac("sha1", None)
    macs["mac-none"] = None
    for prf in ("hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA512"):
        for mac in ("hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"):
            macs[f"pbmac1-{prf[8:]}-{mac[8:]}".lower()] = pfx.Pbmac1(prf, mac)
    return [
        opens(
            name,
            name if mac is None else name.split("-")[0],
            store(WORDS, modern, modern, mac),
            WORDS,
        )
        for name, mac in macs.items()
    ]


def _passphrases() -> list[Case]:
    """The absent one is no octets, the empty one two zeros: their files differ, and both open."""
    words = {
        "umlauts": "Größe 42",
        "cyrillic": "пароль",
        "kanji": "暗号の鍵",
        "emoji": "key 😀 key",
        "decomposed": "Gro\u0308ße 42",
        "blanks": "  leading and trailing  ",
        "long": "long " * 60,
        "quotes": "\"'\\$`\t",
    }
    found = []
    for name, word in words.items():
        triple = pbe.pkcs12_pbe(word, "pbeWithSHA1And3-KeyTripleDES-CBC")
        modern = pbe.pbes2(word)
        covers = "passphrase-non-ascii" if not word.isascii() else "passphrase-odd"
        old_text = store(word, triple, triple, pfx.Mac("sha1"))
        found += [
            opens(f"passphrase-{name}-3des", covers, old_text, word, *LEGACY),
            opens(f"passphrase-{name}-aes", covers, store(word, modern, modern, pfx.Mac()), word),
        ]
    for name, word in (("umlauts", "Größe 42"), ("greek", "σύνθημα γνώρισμα")):
        # OpenSSL before 1.1.0 took each octet of the UTF-8 for a character
        octets = word.encode().decode("latin-1")
        triple = pbe.pkcs12_pbe(octets, "pbeWithSHA1And3-KeyTripleDES-CBC")
        rc2 = pbe.pkcs12_pbe(octets, "pbeWithSHA1And40BitRC2-CBC")
        old_text = store(octets, rc2, triple, pfx.Mac("sha1"))
        found.append(
            opens(f"passphrase-{name}-openssl-1.0", "passphrase-non-ascii", old_text, word, *LEGACY)
        )
    for name, word in (("umlauts", "Größe 42"), ("euro", "5 € 42")):
        # octets of the terminal that are no UTF-8: widened for the MAC, as they are in PBES2
        western = pbe.pbes2(word, encoding="cp1252")
        octets = word.encode("cp1252").decode("latin-1")
        for mac in (pfx.Mac(), None):
            text = store(octets, western, western, mac)
            form = "with" if mac else "without"
            covered = f"passphrase-{name}-windows-1252-{form}-mac"
            found.append(opens(covered, "passphrase-non-ascii", text, word))
    for name, nothing in (("empty", ""), ("absent", None)):
        triple = pbe.pkcs12_pbe(nothing, "pbeWithSHA1And3-KeyTripleDES-CBC")
        rc2 = pbe.pkcs12_pbe(nothing, "pbeWithSHA1And40BitRC2-CBC")
        modern = pbe.pbes2("")
        files = {
            "3des": (store(nothing, rc2, triple, pfx.Mac("sha1")), LEGACY),
            "3des-without-mac": (store(nothing, rc2, triple, None), LEGACY),
            "aes": (store(nothing, modern, modern, pfx.Mac()), []),
            "plain": (store(nothing, None, None, pfx.Mac()), []),
        }
        for form, (text, warnings) in files.items():
            covers = f"passphrase-{name}"
            found.append(opens(f"{covers}-{form}", covers, text, None, *warnings))
            if form == "3des":
                found.append(opens(f"{covers}-{form}-sent-empty", covers, text, "", *warnings))
    plain = store(None, None, None, None)
    found += [
        opens("passphrase-none-needed", "passphrase-not-needed", plain, None),
        opens("passphrase-not-needed-but-sent", "passphrase-not-needed", plain, "for the proxy"),
    ]
    return found


def _ber() -> list[Case]:
    modern = pbe.pbes2(WORDS)
    triple = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC")
    mine = pfx.local_key_id(b"\1")
    safes = [
        pfx.encrypted(modern, *(pfx.certificate_bag(der) for der in DERS)),
        pfx.plain(pfx.shrouded_bag(PKCS8, modern, mine)),
    ]
    old = [
        pfx.plain(pfx.shrouded_bag(PKCS8, triple, mine)),
        pfx.encrypted(triple, *(pfx.certificate_bag(der) for der in DERS)),
    ]
    files = {
        "ber-aes": (pfx.ber_pfx(safes, WORDS, pfx.Mac()), []),
        "ber-3des": (pfx.ber_pfx(old, WORDS, pfx.Mac("sha1")), LEGACY),
        "ber-without-mac": (pfx.ber_pfx(safes, WORDS, None), []),
        "ber-outside-only": (asn1.ber(pfx.pfx(safes, WORDS, pfx.Mac())), []),
    }
    return [
        opens(name, "ber", b64(data), WORDS, "ber_encoding", *warnings)
        for name, (data, warnings) in files.items()
    ]


def _refused_passphrases() -> list[Case]:
    modern = pbe.pbes2(WORDS)
    triple = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And3-KeyTripleDES-CBC")
    rc4 = pbe.pkcs12_pbe(WORDS, "pbeWithSHA1And128BitRC4")
    files: dict[str, tuple[pbe.Scheme | None, pbe.Scheme, pfx.Mac | pfx.Pbmac1 | None]] = {
        "aes": (modern, modern, pfx.Mac()),
        "3des": (triple, triple, pfx.Mac("sha1")),
        "rc4": (rc4, rc4, pfx.Mac("sha1")),
        "pbmac1": (modern, modern, pfx.Pbmac1()),
        "aes-without-mac": (modern, modern, None),
        "3des-without-mac": (triple, triple, None),
        "rc4-without-mac": (rc4, rc4, None),
        "key-only-encrypted": (None, modern, None),
    }
    found = []
    for name, (certificates, key, mac) in files.items():
        text = store(WORDS, certificates, key, mac)
        for kind, words, reason in (
            ("wrong", "close the coffer", "wrong_passphrase"),
            ("trailing-newline", WORDS + "\n", "wrong_passphrase"),
            ("missing", None, "passphrase_required"),
        ):
            if kind == "trailing-newline" and name != "aes":
                continue
            sent = Sent("pfx", text, None, words)
            covers = f"pfx {reason.replace('_', '-')}"
            found.append(refused(f"{kind}-passphrase-{name}", covers, sent, PASSPHRASE, reason))
    other = pbe.pbes2("another one")
    found += [
        refused(
            "key-has-another-passphrase",
            "pfx wrong-passphrase",
            Sent("pfx", store(WORDS, modern, other, pfx.Mac()), None, WORDS),
            PASSPHRASE,
            "wrong_passphrase",
        ),
        refused(
            "passphrase-for-a-file-with-an-empty-one",
            "pfx wrong-passphrase",
            Sent("pfx", store("", pbe.pbes2(""), pbe.pbes2(""), pfx.Mac()), None, WORDS),
            PASSPHRASE,
            "wrong_passphrase",
        ),
        refused(
            "case-of-the-passphrase",
            "pfx wrong-passphrase",
            Sent("pfx", store(WORDS, triple, triple, pfx.Mac("sha1")), None, WORDS.upper()),
            PASSPHRASE,
            "wrong_passphrase",
        ),
    ]
    return found


def _refused_methods() -> list[Case]:
    """Each of these is told from a wrong passphrase, with the right one and without any."""
    bags = asn1.sequence(*(pfx.certificate_bag(der) for der in DERS))
    made_up = "1.2.3.4"
    aes = asn1.algorithm("2.16.840.1.101.3.4.1.42", asn1.octets(bytes(16)))
    pbkdf2 = pbe.pbkdf2_algorithm()
    odd_prf = asn1.algorithm(
        "1.2.840.113549.1.5.12",
        asn1.sequence(asn1.octets(pbe.SALT), asn1.integer(512), asn1.algorithm(made_up)),
    )
    algorithms = {
        "unknown-scheme": (asn1.algorithm(made_up), made_up),
        "unknown-cipher": (pbe.pbes2_of(pbkdf2, asn1.algorithm(made_up)), made_up),
        "unknown-kdf": (pbe.pbes2_of(asn1.algorithm(made_up), aes), made_up),
        "unknown-prf": (pbe.pbes2_of(odd_prf, aes), made_up),
        "aria": (pbe.pbes2_of(pbkdf2, pbe.ARIA), "ARIA"),
        "gost-cipher": (pbe.pbes2_of(pbkdf2, asn1.algorithm("1.2.643.2.2.21")), "1.2.643.2.2.21"),
    }
    found = []
    for name, (algorithm, said) in algorithms.items():
        safe = pfx.encrypted_content(algorithm, bags[:256])
        text = b64(pfx.pfx([safe], WORDS, pfx.Mac()))
        for suffix, words in (("", WORDS), ("-without-passphrase", None)):
            if suffix and name != "unknown-scheme":
                continue
            sent = Sent("pfx", text, None, words)
            found.append(
                refused(
                    f"{name}{suffix}",
                    "pfx unsupported-algorithm",
                    sent,
                    CONTENT,
                    "unsupported_algorithm",
                    said,
                )
            )
    found.append(
        refused(
            "public-key-privacy",
            "pfx unsupported-algorithm",
            Sent("pfx", b64(pfx.pfx([pfx.enveloped()], WORDS, pfx.Mac())), None, WORDS),
            CONTENT,
            "unsupported_algorithm",
        )
    )
    return found
