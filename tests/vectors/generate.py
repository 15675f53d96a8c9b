"""Write a golden vector file for each format of stored bytes: `python -m tests.vectors.generate`.

A file that exists is never written again: what a release once stored must open for ever. A new format
gets a new file. Everything here is made up for the purpose; no key of any deployment is in it.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.common import aad, envelope
from services.common.sensitive import SecretBytes
from services.kms.keys import hierarchy
from services.kms.lifecycle.receipts import RECEIPT_TYPE, receipt_statement
from services.kms.lifecycle.rewrap_reports import REPORT_TYPE, report_statement
from services.kms.model import EndedRewrap, Erasure, KeyFacts, WrapMethod
from services.kms.papers import Papers, PublicKey
from services.kms.providers.gcp import integrity
from services.kms.providers.platform import PlatformKey

FOLDER = Path(__file__).resolve().parent


class NoMeter:
    """Counts nothing."""

    def count(self, provider: str, operation: str, outcome: str) -> None:
        """See Meter."""


def sample(name: str, length: int = 32) -> bytes:
    """Bytes that look random and are always the same."""
    return sha256(f"coffer test vector: {name}".encode()).digest()[:length]


def sample_id(name: str) -> uuid.UUID:
    """A UUID that is always the same."""
    return uuid.UUID(bytes=sample(name, 16), version=4)


TENANT, DATA_KEY_ID, KEY_ID = sample_id("tenant"), sample_id("data key"), sample_id("key")
SECRET, ENVIRONMENT = sample_id("secret"), sample_id("environment")


def aad_1() -> list[dict[str, Any]]:
    """AAD format 1: purposes and facts with their canonical bytes."""
    cases = [
        ("coffer/empty", []),
        ("coffer/one", [b""]),
        ("coffer/two", [b"a", b"bc"]),
        ("coffer/two", [b"ab", b"c"]),
        ("coffer/long", [bytes(300)]),
    ]
    plain = [
        {"purpose": p, "facts": [f.hex() for f in facts], "encoded": aad.encode(p, *facts).hex()}
        for p, facts in cases
    ]
    header = hierarchy.header(7)
    field = aad.field(TENANT, SECRET, ENVIRONMENT, 3, DATA_KEY_ID, "content", envelope.FIELD_HEADER)
    named = [
        {"name": "data_key", "encoded": aad.data_key(TENANT, DATA_KEY_ID, header).hex()},
        {
            "name": "data_key_derivation",
            "encoded": aad.data_key_derivation(TENANT, DATA_KEY_ID).hex(),
        },
        {"name": "field", "encoded": field.hex()},
    ]
    return plain + named


def kct_1() -> list[dict[str, Any]]:
    """Wrapped data keys, `KCT1`."""
    vectors = []
    for version in (1, 7, 2**32 - 1):
        master_key = sample(f"master key {version}")
        key = hierarchy.OpenMasterKey(master_key, TENANT, version)
        data_key = sample(f"data key {version}")
        vectors.append(
            {
                "tenant_id": str(TENANT),
                "data_key_id": str(DATA_KEY_ID),
                "version": version,
                "master_key": master_key.hex(),
                "data_key": data_key.hex(),
                "wrapped": key.wrap([(DATA_KEY_ID.bytes, data_key)])[0].hex(),
            }
        )
    return vectors


def kcf_1() -> list[dict[str, Any]]:
    """Sealed fields, `KCF1`."""
    facts = envelope.FieldFacts(TENANT, SECRET, ENVIRONMENT, 3, DATA_KEY_ID)
    data_key = sample("data key of fields")
    values = {"value": b"hunter2", "content": b"-----BEGIN CERTIFICATE-----\n", "passphrase": b""}
    return [
        {
            "tenant_id": str(TENANT),
            "secret_id": str(SECRET),
            "environment_id": str(ENVIRONMENT),
            "value_version": 3,
            "data_key_id": str(DATA_KEY_ID),
            "data_key": data_key.hex(),
            "name": name,
            "plaintext": plaintext.hex(),
            "sealed": envelope.seal(data_key, facts, name, plaintext).hex(),
        }
        for name, plaintext in values.items()
    ]


def check_value_1() -> list[dict[str, Any]]:
    """Check values of master keys."""
    return [
        {
            "tenant_id": str(TENANT),
            "key_id": str(KEY_ID),
            "master_key": sample(name).hex(),
            "check_value": hierarchy.check_value(sample(name), TENANT, KEY_ID).hex(),
        }
        for name in ("one", "two")
    ]


def kcg_1() -> list[dict[str, Any]]:
    """Master keys wrapped under the platform key, `KCG1`."""
    platform_key, master_key = sample("platform key"), sample("master key")
    key = PlatformKey(SecretBytes(platform_key), NoMeter())
    wrapped = asyncio.run(key.wrap(KeyFacts(TENANT, KEY_ID), master_key))
    return [
        {
            "tenant_id": str(TENANT),
            "key_id": str(KEY_ID),
            "platform_key": platform_key.hex(),
            "master_key": master_key.hex(),
            "wrapped": wrapped.blob.hex(),
        }
    ]


def receipt_1() -> list[dict[str, Any]]:
    """Receipts of erasure, `coffer/revocation-receipt/1`: for a customer's key, and forced."""
    made = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    plain = Erasure(
        tenant_id=TENANT,
        tenant_slug="acme",
        key_id=KEY_ID,
        version=7,
        wrap_method=WrapMethod.CUSTOMER_KMS,
        provider="aws",
        kms_key_ref="arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        created_at=made,
        retired_at=made + timedelta(days=30),
        revoked_at=made + timedelta(days=31),
        data_keys=0,
        forced=False,
        actor="admin:zoë",
        request_id=str(sample_id("request")),
    )
    forced = replace(
        plain,
        wrap_method=WrapMethod.GLOBAL,
        provider=None,
        kms_key_ref=None,
        data_keys=2**53 - 1,
        forced=True,
    )
    return _signed(RECEIPT_TYPE, [receipt_statement(erasure) for erasure in (plain, forced)])


def rewrap_report_1() -> list[dict[str, Any]]:
    """Reports of rewraps, `coffer/rewrap-report/1`: with failures, and never started."""
    made = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    ended = EndedRewrap(
        tenant_id=TENANT,
        tenant_slug="acme",
        lease_id=42,
        state="failed",
        reason="rotate",
        version=8,
        key_id=KEY_ID,
        wrap_method=WrapMethod.CUSTOMER_KMS,
        provider="aws",
        kms_key_ref="arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        total=100_000,
        done=99_990,
        skipped=8,
        failed=2,
        failed_ids=(DATA_KEY_ID, sample_id("another data key")),
        verified=10_000,
        kms_calls=3,
        created_at=made,
        started_at=made + timedelta(seconds=1),
        finished_at=made + timedelta(seconds=5),
        census_before={7: 90_000, 8: 5, 6: 10_000},
        census_after={8: 100_013, 7: 2},
        census_at_signing={8: 100_014, 7: 2},
        active_version=8,
        revoked_versions=(5, 6),
        signed_at=made + timedelta(seconds=5, milliseconds=20),
    )
    superseded = replace(
        ended,
        state="superseded",
        reason="manual",
        wrap_method=WrapMethod.GLOBAL,
        provider=None,
        kms_key_ref=None,
        total=None,
        done=0,
        skipped=0,
        failed=0,
        failed_ids=(),
        verified=0,
        kms_calls=0,
        started_at=None,
        census_before=None,
        census_after=None,
        census_at_signing={},
        revoked_versions=(),
    )
    return _signed(REPORT_TYPE, [report_statement(one) for one in (ended, superseded)])


def _signed(kind: str, statements: list[dict[str, object]]) -> list[dict[str, Any]]:
    """Papers, with the key that signed them."""
    seed = sample("signing key")
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    papers = Papers(SecretBytes(pem))
    jwks = {"keys": [_jwk(key) for key in papers.public_keys]}
    return [
        {
            "signing_key": seed.hex(),
            "jwks": jwks,
            "statement": statement,
            "jws": papers.sign(kind, statement),
        }
        for statement in statements
    ]


def _jwk(key: PublicKey) -> dict[str, str]:
    facts = {"kty": "OKP", "crv": "Ed25519", "kid": key.kid, "x": key.x}
    return {**facts, "alg": "EdDSA", "use": "sig"}


def kga_1() -> list[dict[str, Any]]:
    """What a master key wrapped by Google Cloud KMS is bound to there, `KGA1`."""
    keys = {"tenant and key": (TENANT, KEY_ID), "turned round": (KEY_ID, TENANT)}
    return [
        {
            "name": name,
            "tenant_id": str(tenant),
            "key_id": str(key),
            "context": integrity.context(KeyFacts(tenant, key)).hex(),
        }
        for name, (tenant, key) in keys.items()
    ]


FORMATS = {
    "aad-1.json": aad_1,
    "kct-1.json": kct_1,
    "kcf-1.json": kcf_1,
    "kcg-1.json": kcg_1,
    "kga-1.json": kga_1,
    "check-value-1.json": check_value_1,
    "receipt-1.json": receipt_1,
    "rewrap-report-1.json": rewrap_report_1,
}


def main() -> None:
    """Write the files that are missing."""
    for name, make in FORMATS.items():
        path = FOLDER / name
        if not path.exists():
            path.write_text(json.dumps(make(), indent=2) + "\n", encoding="utf-8")
            print(f"wrote {name}")


if __name__ == "__main__":
    main()
