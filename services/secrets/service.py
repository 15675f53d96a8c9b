"""The use cases of the secrets service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from services.common.errors import (
    CofferError,
    ConflictError,
    NotFoundError,
    PlanLimitError,
    UnavailableError,
    ValidationError,
    VersionMismatchError,
)
from services.secrets import sealing, values
from services.secrets.environments import KnownEnvironments
from services.secrets.grouping import DATABASE_PLACES
from services.secrets.model import (
    NewSecret,
    NewValue,
    Refused,
    SecretRow,
    StaleKeyVersionError,
    StaleVersionError,
)
from services.secrets.naming import parse_id
from services.secrets.payloads import Payloads
from services.secrets.shares import Room, Shares
from services.secrets.turns import Turns
from services.secrets.values import Faults

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.common.identity import Call
    from services.secrets.creating import Creator
    from services.secrets.data_keys import DataKeyPool
    from services.secrets.model import (
        CreateRequest,
        Draft,
        Environment,
        EnvironmentValue,
        Listing,
        ListRequest,
        Page,
        Payload,
        PutRequest,
        Standing,
        StoredVersion,
    )
    from services.secrets.ports import Certificates, Observer, Secrets

_PUT_TRIES: Final = 8
"""How often another writer or a rotation may come first before we give up."""
_KEY_TRIES: Final = 8
"""How often a rotation may."""
_KEY_PAUSE_SECONDS: Final = 0.02
"""One kms process hears of a rotation in another a moment later; each further try waits so much longer."""
_WRITES_EACH: Final = 2
"""New values and deletions of one tenant in the database at a time; an audit chain is written in a row."""
_WRITES_WAITING: Final = Room(calls=512)
_ALL_WRITES_WAITING: Final = Room(calls=4096)


class SecretsService:
    """What a tenant's client may do with its secrets. Every method acts for the call's tenant."""

    def __init__(
        self,
        *,
        store: Secrets,
        pool: DataKeyPool,
        creator: Creator,
        certificates: Certificates,
        certificate_readers: int,
        observer: Observer,
    ) -> None:
        self._store = store
        self._pool = pool
        self._creator = creator
        self._payloads = Payloads(certificates, certificate_readers, observer)
        self._environments = KnownEnvironments(store)
        self._writers: Turns[tuple[UUID, UUID]] = Turns()
        self._writes = Shares(
            DATABASE_PLACES,
            each=_WRITES_EACH,
            waiting=_WRITES_WAITING,
            all_waiting=_ALL_WRITES_WAITING,
        )

    async def create(self, call: Call, request: CreateRequest) -> SecretRow:
        """Store a new secret; it is committed when this returns.

        Raises unsupported_type, validation_error (with every fault), conflict, plan_limit,
        tenant_sealed, unavailable.
        """
        faults = Faults()
        kind = values.secret_type(request, faults)
        draft = values.draft(request, kind, faults)
        payload = await self._payloads.check(call.tenant, kind, request.payload, faults)
        environment = await self._place(call.tenant, draft, faults)
        faults.raise_any()
        assert payload is not None
        assert environment is not None
        secret, made = await self._create(call, draft, payload, environment)
        if isinstance(made, Refused):
            raise _refusal(made, draft)
        return _row(secret, made)

    async def list(self, call: Call, request: ListRequest) -> tuple[Page, Listing]:
        """A page, and the checked question it answers. Raises validation_error."""
        listing = values.listing(request)
        return await self._store.list(call.tenant, listing), listing

    async def get(
        self, call: Call, secret_id: str
    ) -> tuple[SecretRow, tuple[EnvironmentValue, ...]]:
        """One secret and where it has values. Raises not_found."""
        found = await self._store.get(call.tenant, _path_id(secret_id))
        if found is None:
            raise _no_secret()
        return found

    async def delete(self, call: Call, secret_id: str) -> None:
        """Delete softly; the name is free at once. Raises not_found, unavailable."""
        found = _path_id(secret_id)
        async with self._writes.of(call.tenant):
            deleted = await self._store.delete(call.tenant, found, call)
        if not deleted:
            raise _no_secret()

    async def put_value(self, call: Call, request: PutRequest) -> StoredVersion:
        """Store a new value of a secret in one environment.

        Raises not_found, validation_error, version_mismatch, tenant_sealed, unavailable.
        """
        secret_id = _path_id(request.id)
        standing = await self._store.standing(call.tenant, secret_id, None)
        if standing is None:
            raise _no_secret()
        faults = Faults()
        environment = values.environment(request.environment, faults)
        payload = await self._payloads.check(
            call.tenant, standing.secret_type, request.payload, faults
        )
        if environment is not None and "environment" not in faults:
            standing = await self._store.standing(call.tenant, secret_id, environment)
            if standing is None:
                raise _no_secret()
            if standing.environment is None:
                faults.add("environment", values.NO_ENVIRONMENT)
        faults.raise_any()
        assert payload is not None
        async with self._writers.of((call.tenant, secret_id)):
            return await self._put(call, secret_id, request, payload)

    async def _place(self, tenant_id: UUID, draft: Draft, faults: Faults) -> Environment | None:
        """The environment to create in. An unknown collection is looked for only beside other
        faults, so that all are told at once: without any, the writing transaction finds out."""
        environment = None
        if "environment" not in faults:
            environment = await self._environments.find(tenant_id, draft.environment)
            if environment is None:
                faults.add("environment", values.NO_ENVIRONMENT)
        if (
            faults
            and draft.collection_id is not None
            and not await self._store.has_collection(tenant_id, draft.collection_id)
        ):
            faults.add("collection_id", values.NO_COLLECTION)
        return environment

    async def _create(
        self, call: Call, draft: Draft, payload: Payload, environment: Environment
    ) -> tuple[NewSecret, datetime | Refused]:
        """Seal and write; begin again when what was sealed for or with is not there any more."""
        secret, made = await self._try_create(call, draft, payload, environment)
        if made is Refused.NO_ENVIRONMENT:
            self._environments.forget(call.tenant)
            found = await self._environments.find(call.tenant, draft.environment)
            if found is not None:
                secret, made = await self._try_create(call, draft, payload, found)
        return secret, made

    async def _try_create(
        self, call: Call, draft: Draft, payload: Payload, environment: Environment
    ) -> tuple[NewSecret, datetime | Refused]:
        """With another data key each time; the first may be of before a rotation."""
        for attempt in range(_KEY_TRIES):
            await asyncio.sleep(_KEY_PAUSE_SECONDS * max(0, attempt - 1))
            secret = await self._sealed(call, draft, payload, environment)
            made = await self._creator.create(call.tenant, secret)
            if made is not Refused.STALE_KEY:
                return secret, made
        raise UnavailableError("The tenant's keys are being rotated.")

    async def _sealed(
        self, call: Call, draft: Draft, payload: Payload, environment: Environment
    ) -> NewSecret:
        secret_id = uuid4()
        key = await self._pool.take(call.tenant)
        value = sealing.seal(key, call.tenant, secret_id, environment.id, 1, payload)
        return NewSecret(
            call=call,
            id=secret_id,
            draft=draft,
            environment=environment,
            value=value,
            certificate=payload.certificate,
        )

    async def _put(
        self, call: Call, secret_id: UUID, request: PutRequest, payload: Payload
    ) -> StoredVersion:
        """Seal for the version after the current one; begin again when another writer was faster."""
        for _ in range(_PUT_TRIES):
            standing = await self._store.standing(call.tenant, secret_id, request.environment)
            if standing is None:
                raise _no_secret()
            if request.if_match is not None and request.if_match != standing.value_version:
                raise VersionMismatchError(
                    f"The current version is {standing.value_version}, not {request.if_match}."
                )
            try:
                stored = await self._write(call, secret_id, standing, payload)
            except (StaleVersionError, StaleKeyVersionError):
                continue
            if stored is None:
                raise _no_secret()
            return stored
        raise UnavailableError("Too many writers of this value, or rotations, at once.")

    async def _write(
        self, call: Call, secret_id: UUID, standing: Standing, payload: Payload
    ) -> StoredVersion | None:
        if standing.environment is None:
            raise ValidationError.of("environment", values.NO_ENVIRONMENT)
        key = await self._pool.take(call.tenant)
        version = standing.value_version + 1
        environment = standing.environment
        value = NewValue(
            call=call,
            secret_id=secret_id,
            environment=environment,
            replaces=standing.value_version,
            value=sealing.seal(key, call.tenant, secret_id, environment.id, version, payload),
            certificate=payload.certificate,
        )
        try:
            async with self._writes.of(call.tenant):
                return await self._store.put(call.tenant, value)
        except StaleKeyVersionError:
            self._pool.drop(call.tenant)
            raise


def _path_id(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise _no_secret()
    return found


def _no_secret() -> NotFoundError:
    return NotFoundError("There is no such secret.")


def _refusal(refused: Refused, draft: Draft) -> CofferError:
    if refused is Refused.NO_COLLECTION:
        return ValidationError.of("collection_id", values.NO_COLLECTION)
    if refused is Refused.NO_ENVIRONMENT:
        return ValidationError.of("environment", values.NO_ENVIRONMENT)
    if refused is Refused.PLAN_LIMIT:
        return PlanLimitError("The tenant's plan allows no more secrets.")
    return ConflictError(f"There is a secret with the name {draft.name} already.")


def _row(secret: NewSecret, made: datetime) -> SecretRow:
    draft, certificate = secret.draft, secret.certificate
    return SecretRow(
        id=secret.id,
        name=draft.name,
        description=draft.description,
        base_environment=secret.environment.name,
        environment_count=1,
        secret_type=draft.secret_type,
        collection_id=draft.collection_id,
        expires_at=secret.expires_at,
        strict_expiry_enforcement=draft.strict_expiry_enforcement,
        value_version=1,
        created_at=made,
        updated_at=made,
        certificate_type=certificate.certificate_type if certificate else None,
        metadata=certificate.metadata if certificate else None,
    )
