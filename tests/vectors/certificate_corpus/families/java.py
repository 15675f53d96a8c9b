"""Keystores as Java's own `keytool` writes them. Without Java their manifest stays as it is."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.vectors.certificate_corpus import pbe, pfx
from tests.vectors.certificate_corpus.case import CONTENT, PASSPHRASE, Case, Sent, accepted, refused
from tests.vectors.certificate_corpus.people import CHAIN, LEAF, LONE, OTHER, ROOT
from tests.vectors.certificate_corpus.texts import b64, lines, pem

if TYPE_CHECKING:
    from tests.vectors.certificate_corpus.authority import Issued

TOOL: Final = "keytool"
_WORDS: Final = "open the coffer"
_LEGACY = ["legacy_encryption"]
_PROPERTY: Final = "-J-Dkeystore.pkcs12."
_SECONDS: Final = 60

_LEAF_ENTRY: Final = (LEAF, "tomcat")
_OTHER_ENTRY: Final = (OTHER, "backup")


def is_possible() -> bool:
    """Whether this machine has Java."""
    return shutil.which(TOOL) is not None


def cases() -> list[Case]:
    """All of them."""
    return [*_stores(), *_trust(), *_refused()]


def _stores() -> list[Case]:
    """One entry, its key and its chain, under what Java can be told to use."""
    ways: dict[str, tuple[tuple[str, ...], list[str]]] = {
        "default": ((), []),
        "legacy": ((f"{_PROPERTY}legacy",), _LEGACY),
        "aes-128-sha512": (
            (
                f"{_PROPERTY}keyProtectionAlgorithm=PBEWithHmacSHA512AndAES_128",
                f"{_PROPERTY}certProtectionAlgorithm=PBEWithHmacSHA512AndAES_128",
                f"{_PROPERTY}macAlgorithm=HmacPBESHA512",
            ),
            [],
        ),
        "sha1-prf": (
            (
                f"{_PROPERTY}keyProtectionAlgorithm=PBEWithHmacSHA1AndAES_256",
                f"{_PROPERTY}certProtectionAlgorithm=PBEWithHmacSHA1AndAES_256",
            ),
            [],
        ),
        "certificates-not-encrypted": (
            (f"{_PROPERTY}certProtectionAlgorithm=NONE", f"{_PROPERTY}macAlgorithm=NONE"),
            [],
        ),
        "rc4": (
            (
                f"{_PROPERTY}keyProtectionAlgorithm=PBEWithSHA1AndRC4_128",
                f"{_PROPERTY}certProtectionAlgorithm=PBEWithSHA1AndRC4_128",
            ),
            _LEGACY,
        ),
    }
    found = [
        accepted(
            f"keytool-{name}",
            "p12 java",
            Sent("p12", lines(_copied(_source(_LEAF_ENTRY), *options)), None, _WORDS),
            *CHAIN,
            key=LEAF.pair,
            warnings=warnings,
        )
        for name, (options, warnings) in ways.items()
    ]
    both = _copied(_source(_LEAF_ENTRY, _OTHER_ENTRY))
    found += [
        accepted(
            "keytool-two-entries",
            "p12 java several-keys",
            Sent("p12", b64(both), None, _WORDS),
            *CHAIN,
            key=LEAF.pair,
            count=4,
        ),
    ]
    return found


def _source(*entries: tuple[Issued, str]) -> bytes:
    """What is copied: entries with key and chain, each tied together by its local key id."""
    scheme = pbe.pbes2(_WORDS)
    certificates, keys = [pfx.certificate_bag(ROOT.der)], []
    for number, (own, alias) in enumerate(entries):
        tied = (pfx.friendly_name(alias), pfx.local_key_id(bytes([number])))
        certificates.append(pfx.certificate_bag(own.der, *tied))
        keys.append(pfx.shrouded_bag(own.pair.pkcs8, scheme, *tied))
    return pfx.pfx([pfx.plain(*keys), pfx.encrypted(scheme, *certificates)], _WORDS, pfx.Mac())


def _copied(source: bytes, *options: str, kind: str = "PKCS12") -> bytes:
    """`keytool -importkeystore`: the same entries, written by Java."""
    words = ("-srcstorepass", _WORDS, "-deststorepass", _WORDS, "-deststoretype", kind)
    return _run(
        "-importkeystore", "-srckeystore", "in", "-srcstoretype", "PKCS12",
        "-destkeystore", "out", *words, *options, files={"in": source},
    )  # fmt: skip


def _trust() -> list[Case]:
    stores = _run(
        "-importcert", "-noprompt", "-alias", "a", "-file", "in", "-keystore", "out",
        "-storetype", "PKCS12", "-storepass", _WORDS, files={"in": pem(LONE).encode()},
    )  # fmt: skip
    return [
        accepted(
            "keytool-truststore",
            "p12 java",
            Sent("p12", b64(stores), None, _WORDS),
            LONE,
            warnings=["self_signed"],
        )
    ]


def _refused() -> list[Case]:
    source = _source(_LEAF_ENTRY)
    modern = b64(_copied(source))
    return [
        *(
            refused(
                f"keytool-{kind.lower()}-as-{declared}",
                f"{declared} java not-this-format",
                Sent(declared, b64(_copied(source, kind=kind)), None, _WORDS),
                CONTENT,
                "not_this_format",
                "keytool -importkeystore",
            )
            for kind in ("JKS", "JCEKS")
            for declared in ("p12", "pem")
        ),
        refused(
            "keytool-wrong-passphrase",
            "p12 java wrong-passphrase",
            Sent("p12", modern, None, "changeit"),
            PASSPHRASE,
            "wrong_passphrase",
        ),
        refused(
            "keytool-missing-passphrase",
            "p12 java passphrase-required",
            Sent("p12", modern),
            PASSPHRASE,
            "passphrase_required",
        ),
    ]


def _run(*arguments: str, files: dict[str, bytes]) -> bytes:
    """The file `out` that keytool writes. Raises RuntimeError with what it says when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            [TOOL, *arguments], cwd=folder, capture_output=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            raise RuntimeError(f"keytool: {done.stdout.decode(errors='replace')}")
        return (Path(folder) / "out").read_bytes()
