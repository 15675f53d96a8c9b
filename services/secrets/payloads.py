"""From the fields of a request to the plaintext fields of a value version, checked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from sys import getsizeof
from typing import TYPE_CHECKING, Final, cast

from services.common.errors import UnavailableError
from services.secrets import values
from services.secrets.certificates import (
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    CertificateRefused,
)
from services.secrets.model import CertificateFacts, Metadata, Payload
from services.secrets.shares import Room, Shares

if TYPE_CHECKING:
    from uuid import UUID

    from services.secrets.certificates import CertificateMaterial
    from services.secrets.model import FieldName, SecretType, SentPayload
    from services.secrets.ports import Certificates, Observer
    from services.secrets.values import Faults

DEFAULT_CERTIFICATE_TYPE: Final = "pem"
WAITING: Final = Room(calls=512, total_bytes=32 * 1024 * 1024)
"""For one tenant's certificates that wait to be read. Most are a few KiB and read within milliseconds; the
largest hold 0.8 MB, and the dearest take 2 s: bytes are what they cost here, and their callers' deadlines
end what does not get its turn in time."""
ALL_WAITING: Final = Room(calls=4096, total_bytes=256 * 1024 * 1024)
_UNREADABLE: Final = (
    "It could not be read: it is damaged, or of a kind that this version fails on, which is reported to "
    "those who run the service. Export it again, or in another form."
)


class Payloads:
    """Checks what is to be sealed; certificates are read by `certificates`, somewhere else.

    `readers` is how many it reads at a time. One tenant gets half of that, and turns go by tenant.
    """

    def __init__(self, certificates: Certificates, readers: int, observer: Observer) -> None:
        self._certificates = certificates
        self._observer = observer
        self._shares = Shares(
            readers,
            each=max(1, readers // 2),
            waiting=WAITING,
            all_waiting=ALL_WAITING,
        )

    async def check(
        self, tenant_id: UUID, kind: SecretType, sent: SentPayload, faults: Faults
    ) -> Payload | None:
        """The payload; None when something was wrong, which is in `faults` then.

        Raises UnavailableError when certificates cannot be read at present.
        """
        if kind == "string":
            value = values.string_value(sent, faults)
            return Payload({"value": value})
        if not values.certificate_fields(sent, faults):
            return None
        material = await self._read(tenant_id, sent, faults)
        return None if material is None else _payload(material)

    async def _read(
        self, tenant_id: UUID, sent: SentPayload, faults: Faults
    ) -> CertificateMaterial | None:
        await self._shares.enter(tenant_id, _size(sent))
        reading = asyncio.ensure_future(
            self._certificates.read(
                sent.certificate_content or "",
                sent.private_key,
                sent.passphrase,
                DEFAULT_CERTIFICATE_TYPE
                if sent.certificate_type is None
                else sent.certificate_type,
                datetime.now(UTC),
            )
        )
        # A caller may go away, its job goes on: the place is free when the work is done, not before.
        reading.add_done_callback(lambda done: self._read_one(tenant_id, done))
        try:
            return await asyncio.shield(reading)
        except CertificateRefused as refused:
            faults.add(refused.field, refused.message, reason=refused.reason)
            return None
        except CertificateReaderUnavailable:
            raise UnavailableError from None
        except CertificateReaderFailed as failed:
            # Sent again it would fail again, and most likely it is at fault itself: no 5xx, which clients
            # repeat. Whoever runs the service is told.
            self._observer.reader_failed(str(failed))
            faults.add("certificate_content", _UNREADABLE, reason="malformed")
            return None

    def _read_one(self, tenant_id: UUID, done: asyncio.Future[CertificateMaterial]) -> None:
        self._shares.leave(tenant_id)
        if not done.cancelled():
            done.exception()  # a caller that went away does not fetch it; that is no fault


def _size(sent: SentPayload) -> int:
    """In memory, in bytes: one to four for each character."""
    texts = (sent.certificate_content, sent.private_key, sent.passphrase)
    return sum(getsizeof(text) for text in texts if text is not None)


def _payload(material: CertificateMaterial) -> Payload:
    fields: dict[FieldName, bytes] = {
        "content": material.content,
        "normal_form": material.normal_form,
    }
    if material.private_key is not None:
        fields["private_key"] = material.private_key
    if material.passphrase is not None:
        fields["passphrase"] = material.passphrase
    facts = CertificateFacts(
        certificate_type=material.certificate_type,
        metadata=cast("Metadata", material.metadata.to_json()),
        expires_at=material.metadata.expires_at,
    )
    return Payload(fields, facts)
