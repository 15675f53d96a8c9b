"""From the values of the model to messages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from coffer.secrets.v1 import secrets_pb2, versions_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import CofferError
from services.common.rpc.status import to_status
from services.secrets.certificates import normal_form
from services.secrets.listing import Piece
from services.secrets.paging import page_of
from services.secrets.rpc import pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from services.secrets.leases import RewrapOutcome
    from services.secrets.listing import Listing, Page
    from services.secrets.model import (
        Answer,
        EnvironmentValue,
        Metadata,
        SecretRow,
        StoredVersion,
    )
    from services.secrets.paging import Paging
    from services.secrets.verifying import VerifyOutcome
    from services.secrets.versions import PastVersions

DOMAIN: Final = "coffer.secrets"
_METADATA_AS_STORED = (
    "subject",
    "issuer",
    "has_private_key",
    "has_passphrase",
    "serial_number",
    "sha256_fingerprint",
    "dns_names",
    "ip_addresses",
    "key_algorithm",
    "key_size",
    "signature_algorithm",
    "is_ca",
    "chain_length",
    "warnings",
)
_METADATA_TIMES = ("expires_at", "not_before")


def created_secret(row: SecretRow) -> secrets_pb2.CreatedSecret:
    """A string secret that was just made."""
    return secrets_pb2.CreatedSecret(
        **_common(row),
        shortcode_name=row.name,
        description=row.description,
        environment_count=row.environment_count,
        expires_at=_time(row.expires_at),
        strict_expiry_enforcement=row.strict_expiry_enforcement,
        value_version=row.value_version,
        created_at=_time(row.created_at),
    )


def created_certificate(row: SecretRow) -> secrets_pb2.CreatedCertificate:
    """A certificate that was just stored."""
    return secrets_pb2.CreatedCertificate(
        **_common(row),
        certificate_type=row.certificate_type or "",
        metadata=_metadata(row.metadata),
    )


def secret(row: SecretRow) -> secrets_pb2.Secret:
    """A row of a list."""
    return secrets_pb2.Secret(**_row(row), deleted_at=_time(row.deleted_at))


def detail(row: SecretRow, environments: Iterable[EnvironmentValue]) -> secrets_pb2.SecretDetail:
    """A secret and where it has values."""
    return secrets_pb2.SecretDetail(
        **_row(row),
        environments=[
            secrets_pb2.SecretDetail.Environment(
                environment_name=found.environment_name,
                value_version=found.value_version,
                updated_at=_time(found.updated_at),
                expires_at_override=_time(found.expires_at_override),
            )
            for found in environments
        ],
    )


def listed(found: Page, listing: Listing) -> secrets_pb2.ListSecretsResponse:
    """A page, or a piece."""
    reply = secrets_pb2.ListSecretsResponse(secrets=[secret(row) for row in found.rows])
    if isinstance(listing.part, Piece):
        reply.cursor_page.limit = listing.part.limit
        if found.has_more:
            reply.cursor_page.next_cursor = listing.next_cursor(found.rows[-1], found.environments)
    else:
        reply.page.CopyFrom(pages.page(page_of(found.total or 0, listing.part)))
    return reply


def stored(version: StoredVersion) -> secrets_pb2.PutSecretValueResponse:
    """A value that was stored."""
    return secrets_pb2.PutSecretValueResponse(
        id=str(version.secret_id),
        name=version.name,
        environment=version.environment,
        value_version=version.value_version,
    )


def history(found: PastVersions, asked: Paging) -> versions_pb2.ListSecretVersionsResponse:
    """A page of a history."""
    return versions_pb2.ListSecretVersionsResponse(
        versions=[
            versions_pb2.SecretVersion(
                value_version=row.value_version,
                environment=row.environment,
                is_current=row.is_current,
                created_at=_time(row.created_at),
                certificate_type=row.certificate_type,
                certificate_expires_at=_time(row.certificate_expires_at),
            )
            for row in found.rows
        ],
        page=pages.page(page_of(found.total, asked)),
    )


def answers(outcomes: Iterable[Answer | CofferError]) -> secrets_pb2.BatchAccessSecretsResponse:
    """A value in clear or a status for each."""
    reply = secrets_pb2.BatchAccessSecretsResponse()
    for outcome in outcomes:
        if isinstance(outcome, CofferError):
            reply.results.add(error=to_status(outcome, DOMAIN))
        else:
            reply.results.add(secret=answer(outcome))
    return reply


def answer(found: Answer) -> secrets_pb2.AccessSecretResponse:
    """A value in clear. Fields were UTF-8 when they came, so they are now."""
    sealed = found.sealed
    texts = {name: value.decode() for name, value in found.fields.items() if name != "normal_form"}
    reply = secrets_pb2.AccessSecretResponse(
        secret_id=str(sealed.secret_id),
        name=sealed.name,
        secret_type=sealed.secret_type,
        environment=sealed.environment.name,
        value_version=sealed.value_version,
        expires_at=_time(sealed.expires_at),
        warnings=[
            secrets_pb2.AccessSecretResponse.Warning(code=warning.code, message=warning.message)
            for warning in found.warnings
        ],
    )
    if "value" in texts:
        reply.value = texts["value"]
    else:
        reply.certificate.CopyFrom(
            secrets_pb2.AccessSecretResponse.Certificate(
                content=texts["content"],
                private_key=texts.get("private_key"),
                passphrase=texts.get("passphrase"),
                certificate_type=sealed.certificate_type or "",
                normal_form=_normal_form(found.fields.get("normal_form")),
            )
        )
    return reply


def _normal_form(
    stored: bytes | None,
) -> secrets_pb2.AccessSecretResponse.Certificate.NormalForm | None:
    if stored is None:
        return None
    form = normal_form.read(stored)
    return secrets_pb2.AccessSecretResponse.Certificate.NormalForm(
        certificate=form.certificate, chain=form.chain, private_key=form.private_key
    )


def rewrapped(outcome: RewrapOutcome, slowdown: float) -> secrets_pb2.RewrapBatchResponse:
    """What a batch did, and how callers fare."""
    return secrets_pb2.RewrapBatchResponse(
        done=outcome.done,
        skipped=outcome.skipped,
        failed=outcome.failed,
        cursor=outcome.cursor.bytes,
        lane_finished=outcome.lane_finished,
        foreground_slowdown=slowdown,
    )


def verified(outcome: VerifyOutcome, slowdown: float) -> secrets_pb2.VerifyBatchResponse:
    """What a batch found, and how callers fare."""
    return secrets_pb2.VerifyBatchResponse(
        verified=outcome.verified,
        failed=outcome.failed,
        cursor=outcome.cursor.bytes,
        lane_finished=outcome.lane_finished,
        foreground_slowdown=slowdown,
    )


def _common(row: SecretRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "secret_type": row.secret_type,
        "base_environment": row.base_environment,
        "collection_id": _id(row.collection_id),
    }


def _row(row: SecretRow) -> dict[str, Any]:
    return _common(row) | {
        "shortcode_name": row.name,
        "description": row.description,
        "environment_count": row.environment_count,
        "expires_at": _time(row.expires_at),
        "strict_expiry_enforcement": row.strict_expiry_enforcement,
        "value_version": row.value_version,
        "created_at": _time(row.created_at),
        "updated_at": _time(row.updated_at),
        "certificate_type": row.certificate_type,
        "metadata": _metadata(row.metadata),
    }


def _metadata(metadata: Metadata | None) -> secrets_pb2.CertificateMetadata | None:
    if metadata is None:
        return None
    known = cast("Mapping[str, Any]", metadata)
    members = {name: known[name] for name in _METADATA_AS_STORED if known.get(name) is not None}
    for name in _METADATA_TIMES:
        if known.get(name) is not None:
            members[name] = _time(datetime.fromisoformat(known[name]))
    return secrets_pb2.CertificateMetadata(**members)


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _id(found: UUID | None) -> str | None:
    return None if found is None else str(found)
