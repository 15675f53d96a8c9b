"""The `openssl` command, which writes most of what people have. Needs version 3 with its legacy provider."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

_LEGACY: Final = ("-provider", "legacy", "-provider", "default")
_SECONDS: Final = 60


def run(*arguments: str, files: dict[str, bytes] | None = None, stdin: bytes = b"") -> bytes:
    """What `openssl` writes to its output, in a folder that holds `files` and is gone afterwards.

    Raises RuntimeError with what it says when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (files or {}).items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            ["openssl", *arguments],
            cwd=folder,
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def demand_version() -> str:
    """Its version line. Raises RuntimeError when it is too old, or has no legacy provider."""
    version = run("version").decode().strip()
    if not version.startswith("OpenSSL 3") and not version.startswith("OpenSSL 4"):
        raise RuntimeError(f"this needs OpenSSL 3 or later, and here is {version}")
    encipher("rc2-40-cbc", bytes(5), bytes(8), b"")
    return version


def encipher(cipher: str, key: bytes, vector: bytes, plain: bytes) -> bytes:
    """One cipher of the legacy provider, with the usual padding."""
    keyed = ("-K", key.hex(), "-iv", vector.hex())
    return run("enc", f"-{cipher}", *keyed, *_LEGACY, stdin=plain)


def pkcs12(
    key: bytes | None,
    certificates: list[bytes],
    passphrase: str,
    *options: str,
    issuers: list[bytes] | None = None,
) -> bytes:
    """`openssl pkcs12 -export`, from PEM; the first certificate is the key's."""
    files = {"certificates": b"".join(certificates), "issuers": b"".join(issuers or [])}
    arguments = ["-in", "certificates"]
    if key is None:
        arguments += ["-nokeys"]
    else:
        files["key"] = key
        arguments += ["-inkey", "key"]
    if issuers:
        arguments += ["-certfile", "issuers"]
    password = ("-passout", f"pass:{passphrase}")
    return run("pkcs12", "-export", *_LEGACY, *arguments, *password, *options, files=files)


def crl2pkcs7(certificates: list[bytes], crl: bytes | None = None, form: str = "PEM") -> bytes:
    """`openssl crl2pkcs7`: certs-only, with a revocation list or without one."""
    files = {"certificates": b"".join(certificates)}
    arguments = ["-certfile", "certificates"] if certificates else []
    if crl is None:
        arguments += ["-nocrl"]
    else:
        files["crl"] = crl
        arguments += ["-in", "crl"]
    return run("crl2pkcs7", *arguments, "-outform", form, files=files)


def pkcs8(key: bytes, passphrase: str, *options: str) -> bytes:
    """`openssl pkcs8 -topk8`, in PEM."""
    password = ("-passout", f"pass:{passphrase}")
    return run("pkcs8", "-topk8", "-in", "key", *password, *options, *_LEGACY, files={"key": key})


def traditional(command: str, key: bytes, passphrase: str, cipher: str) -> bytes:
    """`openssl rsa|ec|dsa` with the encryption that has `Proc-Type: 4,ENCRYPTED`."""
    form = ("-traditional",) if command == "rsa" else ()
    password = ("-passout", f"pass:{passphrase}")
    return run(command, "-in", "key", *form, f"-{cipher}", *password, *_LEGACY, files={"key": key})


def genpkey(*options: str) -> bytes:
    """`openssl genpkey`, in PEM. Another key at each run."""
    return run("genpkey", *options)
