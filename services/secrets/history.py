"""The history of values: looking at it, making an old value current again, and ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common.errors import ConflictError, KeyRevokedError, NotFoundError, ValidationError
from services.secrets import values
from services.secrets.groups import Unfinished
from services.secrets.missing import no_secret, no_version, path_id
from services.secrets.model import Payload, SentPayload
from services.secrets.naming import is_environment_name
from services.secrets.opening import open_value
from services.secrets.paging import paging
from services.secrets.values import Faults
from services.secrets.versions import NotRemoved
from services.secrets.writing import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.identity import Call
    from services.secrets.model import Environment, FieldName, StoredVersion
    from services.secrets.paging import Paging
    from services.secrets.payloads import Payloads
    from services.secrets.ports import Kms, Observer, Values
    from services.secrets.shares import Shares
    from services.secrets.versions import (
        HistoryRequest,
        PastVersions,
        RestoreRequest,
        StoredValue,
    )
    from services.secrets.writing import Writer


class History:
    """What a tenant's client may do with old values. Every method acts for the call's tenant."""

    def __init__(
        self,
        *,
        store: Values,
        kms: Kms,
        payloads: Payloads,
        writer: Writer,
        places: Shares,
        observer: Observer,
    ) -> None:
        self._store = store
        self._kms = kms
        self._payloads = payloads
        self._writer = writer
        self._places = places
        self._observer = observer

    async def list(self, call: Call, request: HistoryRequest) -> tuple[PastVersions, Paging]:
        """A page of versions, newest first, and the checked question. Needs no key.

        An environment without a value has none. Raises not_found, validation_error.
        """
        secret_id = path_id(request.id)
        faults = Faults()
        asked = paging(request.page, request.per_page, faults)
        name = values.environment(request.environment, faults)
        known = None if "environment" in faults else name
        standing = await self._store.standing(call.tenant, secret_id, known)
        if standing is None:
            raise no_secret()
        if standing.environment is None:
            faults.add("environment", values.NO_ENVIRONMENT)
        faults.raise_any()
        assert standing.environment is not None
        found = await self._store.history(call.tenant, secret_id, standing.environment, asked)
        return found, asked

    async def restore(self, call: Call, request: RestoreRequest) -> StoredVersion:
        """Seal an old value anew, under another data key, as the next version.

        A certificate is read as if it were sent now: its metadata, warnings and normal form are those of
        now, and one that would not be taken now is not restored. Raises not_found, validation_error,
        version_mismatch, key_revoked, tenant_sealed, unavailable.
        """
        secret_id = path_id(request.id)
        faults = Faults()
        values.environment(request.environment, faults)
        known = None if faults else request.environment
        standing = await self._store.standing(call.tenant, secret_id, known)
        if standing is None:
            raise no_secret()
        faults.raise_any()
        target = Target(secret_id, request.environment, request.if_match)
        old = await self._old(call, secret_id, standing.environment, request.value_version)
        target.place(standing)
        payload = await self._payload(call, old, await self._open(call, old))
        return await self._writer.write(call, target, payload, restores=old.value_version)

    async def remove(self, call: Call, secret_id: str, environment: str) -> None:
        """Remove the value, its history and its data keys from an environment other than the base one.

        A long history goes in several transactions, the current value in the last: a crash or a deadline may
        leave that and some of the others. Repeated it goes on. Raises not_found, conflict, unavailable.
        """
        found = path_id(secret_id)
        if not is_environment_name(environment):
            raise _no_value()
        refused: NotRemoved | Unfinished | None = Unfinished()
        while isinstance(refused, Unfinished):
            async with self._places.of(call.tenant):
                refused = await self._store.remove(call.tenant, found, environment, call)
        if refused is NotRemoved.NO_SECRET:
            raise no_secret()
        if refused is NotRemoved.NO_VALUE:
            raise _no_value()
        if refused is NotRemoved.IS_BASE:
            raise ConflictError(
                f"{environment} is the secret's base environment: delete the secret instead."
            )

    async def _old(
        self, call: Call, secret_id: UUID, environment: Environment | None, version: int
    ) -> StoredValue:
        if environment is None:
            raise ValidationError.of("environment", values.NO_ENVIRONMENT)
        old = None
        if version >= 1:
            old = await self._store.stored(call.tenant, secret_id, environment.id, version)
        if old is None:
            raise no_version()
        return old

    async def _open(self, call: Call, old: StoredValue) -> Mapping[FieldName, bytes]:
        """A data key under a revoked version is gone, unless a rewrap moved it since it was read."""
        try:
            return await self._unwrap(call, old)
        except KeyRevokedError:
            moved = await self._old(call, old.secret_id, old.environment, old.value_version)
            if moved.value.key.wrapped == old.value.key.wrapped:
                raise
            return await self._unwrap(call, moved)

    async def _unwrap(self, call: Call, old: StoredValue) -> Mapping[FieldName, bytes]:
        (key,) = await self._kms.unwrap(call.tenant, [old.value.key])
        return open_value(call.tenant, old, key, self._observer, call)

    async def _payload(
        self, call: Call, old: StoredValue, fields: Mapping[FieldName, bytes]
    ) -> Payload:
        """A certificate's fields were texts when they came, so they are now."""
        if old.certificate_type is None:
            return Payload(fields)
        private_key, passphrase = fields.get("private_key"), fields.get("passphrase")
        sent = SentPayload(
            certificate_content=fields["content"].decode(),
            private_key=None if private_key is None else private_key.decode(),
            passphrase=None if passphrase is None else passphrase.decode(),
            certificate_type=old.certificate_type,
        )
        faults = Faults()
        payload = await self._payloads.check(call.tenant, "certificate", sent, faults)
        if payload is None:
            raise _refused(old, faults)
        return payload


def _refused(old: StoredValue, faults: Faults) -> ValidationError:
    try:
        faults.raise_any()
    except ValidationError as error:
        return ValidationError.of(
            "value_version",
            f"Version {old.value_version} would not be taken any more. {error.message}",
            reason=error.reason,
        )
    raise AssertionError("a payload without a fault")


def _no_value() -> NotFoundError:
    return NotFoundError("The secret has no value in this environment.")
