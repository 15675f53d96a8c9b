"""The intake's reading of certificates beside the library alone, in one process, in turns of some 20 ms.

Processor time, not the clock: what others do on the machine meanwhile does not count. Three ways:

- `bare`: what somebody calls who has the file and the library, and looks at nothing;
- `fields`: the same, and every fact of API.md's metadata of the leaf with its public key and fingerprint (of
  a key alone: its public key and its plain PKCS#8), nothing checked;
- `ours`: `read_certificate`, which `POST /v1/secrets/certificate` does in its worker process.
"""

from __future__ import annotations

import base64
import functools
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)

from benchmarks.children import answer, read_order
from services.secrets.certificates import read_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_SECONDS: Final = 0.02
WARM_UP_TURNS: Final = 2


def bare(certificate_type: str, data: bytes, passphrase: bytes | None) -> object:
    """The library's own call for a file of that type: a list of certificates, or a private key."""
    if certificate_type == "pem":
        return x509.load_pem_x509_certificates(data)
    if certificate_type == "crt":
        return [x509.load_der_x509_certificate(data)]
    if certificate_type == "pkcs7":
        return pkcs7.load_der_pkcs7_certificates(data)
    if certificate_type == "pfx":
        key, leaf, _ = pkcs12.load_key_and_certificates(data, passphrase)
        return [leaf, key]
    return load_pem_private_key(data, passphrase)


def fields(certificate_type: str, data: bytes, passphrase: bytes | None, leaf_at: int) -> object:
    """The same, and what is in the metadata."""
    loaded: Any = bare(certificate_type, data, passphrase)
    if certificate_type == "key":
        plain = loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return loaded.public_key().key_size, plain
    return facts_of(loaded[leaf_at])


def facts_of(leaf: x509.Certificate) -> tuple[object, ...]:
    """Every fact that API.md's metadata has about one certificate."""
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = leaf.public_key()
    return (
        leaf.subject.rfc4514_string(),
        leaf.issuer.rfc4514_string(),
        leaf.not_valid_after_utc.isoformat(),
        leaf.not_valid_before_utc.isoformat(),
        f"{leaf.serial_number:x}",
        leaf.fingerprint(hashes.SHA256()).hex(),
        names.get_values_for_type(x509.DNSName),
        names.get_values_for_type(x509.IPAddress),
        key.key_size if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None,
        leaf.signature_algorithm_oid.dotted_string,
        leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca,
    )


def rates(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Calls per second of processor time of each, from turns in mixed order; `seconds` for all of them."""
    done = dict.fromkeys(ways, 0)
    spent = dict.fromkeys(ways, 0.0)
    turns = max(1, round(seconds / len(ways) / TURN_SECONDS))
    for turn in range(WARM_UP_TURNS + turns):
        for name in random.sample([*ways], len(ways)):
            calls, took = _turn(ways[name])
            if turn >= WARM_UP_TURNS:
                done[name] += calls
                spent[name] += took
    return {name: done[name] / spent[name] for name in ways}


def _turn(work: Callable[[], object]) -> tuple[int, float]:
    began = time.process_time()
    calls = 0
    while True:
        work()
        calls += 1
        took = time.process_time() - began
        if took >= TURN_SECONDS:
            return calls, took


def measure(file: dict[str, Any], seconds: float) -> dict[str, float]:
    """The rates of the three ways for one file of `certificate_files`, as in its order."""
    kind, passphrase = file["certificate_type"], file["passphrase"]
    content, data = file["content"], base64.b64decode(file["data"])
    secret = None if passphrase is None else passphrase.encode()
    now = datetime.now(UTC)
    ways: dict[str, Callable[[], object]] = {
        "bare": functools.partial(bare, kind, data, secret),
        "fields": functools.partial(fields, kind, data, secret, file["leaf_at"]),
        "ours": functools.partial(read_certificate, content, None, passphrase, kind, now),
    }
    return rates(ways, seconds)


if __name__ == "__main__":
    order = read_order()
    answer({file["name"]: measure(file, order["seconds"]) for file in order["files"]})
