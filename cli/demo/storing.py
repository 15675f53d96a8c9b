"""Steps 3 and 4: a certificate and many strings, stored through the REST API."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.demo.lanes import each
from cli.demo.steps import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.demo.certificates import ServerCertificate
    from cli.demo.stage import Stage

CERTIFICATE_NAME = "SHOP_TLS_CERT"
SHORTEST, LONGEST = 16, 96
"""Bytes of randomness in a value."""
ENDINGS = ("", "naïve", "密钥", "\N{KEY}")
"""A blank at the end and text beyond ASCII have to come back as well."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in the vault: the values by name, and the rows as the API listed them at first."""

    values: Mapping[str, str] = field(repr=False)
    certificate: ServerCertificate
    rows: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def count(self) -> int:
        """How many secrets, the certificate included: as many data keys."""
        return len(self.values) + 1


def random_values(count: int) -> dict[str, str]:
    """That many different values of different lengths, not all of them ASCII."""
    return {f"DEMO_{number:05}": _value() for number in range(1, count + 1)}


def _value() -> str:
    length = SHORTEST + secrets.randbelow(LONGEST - SHORTEST + 1)
    return f"{secrets.token_urlsafe(length)} {secrets.choice(ENDINGS)}"


def store_certificate(stage: Stage, certificate: ServerCertificate) -> Mapping[str, Any]:
    """Store it with its key; check that the answer describes it and shows no key. The metadata."""
    answer = stage.rest.post(
        "/v1/secrets/certificate",
        {
            "name": CERTIFICATE_NAME,
            "certificate_content": certificate.chain,
            "private_key": certificate.private_key,
            "certificate_type": "pem",
        },
    )
    body = answer.expect(201)
    metadata: Mapping[str, Any] = body["data"]["metadata"]
    require(metadata["subject"] == certificate.subject, f"subject is {metadata['subject']}")
    fingerprint = metadata["sha256_fingerprint"]
    require(fingerprint == certificate.fingerprint, f"fingerprint is {fingerprint}")
    require(metadata["has_private_key"] is True, "the private key was not stored")
    require("PRIVATE KEY" not in str(body), "the answer holds a private key")
    return metadata


def store_values(stage: Stage, values: Mapping[str, str]) -> None:
    """Store each value as a string secret; each has to be answered 201 with version 1."""

    def store(name: str) -> None:
        body = stage.rest.post("/v1/secrets", {"name": name, "value": values[name]}).expect(201)
        version = body["data"]["value_version"]
        require(version == 1, f"{name} has value_version {version}")
        require(values[name] not in str(body), f"the answer shows the value of {name}")

    with stage.display.meter("stored", len(values)) as meter:
        each(values, store, stage.stop, meter)


def list_rows(stage: Stage) -> dict[str, Mapping[str, Any]]:
    """Every row of the list of secrets, by name."""
    rows = {}
    for row in stage.rest.secrets():
        stage.stop.check()
        rows[row["name"]] = row
    return rows


def require_same_rows(stage: Stage, stored: Stored) -> None:
    """Every row is what it was right after storing: value_version and updated_at too."""
    rows = list_rows(stage)
    require(rows.keys() == stored.rows.keys(), f"{len(rows)} secrets are listed")
    moved = [name for name, row in rows.items() if row != stored.rows[name]]
    require(not moved, f"{len(moved)} secrets changed, the first is {moved[:1]}")
