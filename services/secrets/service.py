"""Creating secrets, and looking at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from services.common.errors import (
    CofferError,
    ConflictError,
    PlanLimitError,
    UnavailableError,
    ValidationError,
)
from services.secrets import sealing, trying, values
from services.secrets.environments import KnownEnvironments
from services.secrets.listing import listing
from services.secrets.missing import no_secret, path_id
from services.secrets.model import NewSecret, Refused
from services.secrets.values import Faults

if TYPE_CHECKING:
    from services.common.identity import Call
    from services.secrets.creating import Creator
    from services.secrets.data_keys import DataKeyPool
    from services.secrets.listing import Listing, ListRequest, Page
    from services.secrets.model import (
        CreateRequest,
        Draft,
        Environment,
        EnvironmentValue,
        Payload,
        SecretRow,
    )
    from services.secrets.payloads import Payloads
    from services.secrets.ports import Secrets

_PLACE_TRIES: Final = 8
"""How often the environment may be renamed, deleted or not be the default any more."""


class SecretsService:
    """Creates, lists and shows. Every method acts for the call's tenant."""

    def __init__(
        self,
        *,
        store: Secrets,
        pool: DataKeyPool,
        creator: Creator,
        payloads: Payloads,
    ) -> None:
        self._store = store
        self._pool = pool
        self._creator = creator
        self._payloads = payloads
        self._environments = KnownEnvironments(store)

    async def create(self, call: Call, request: CreateRequest) -> SecretRow:
        """Store a new secret; it is committed when this returns.

        Raises unsupported_type, validation_error (with every fault), conflict, plan_limit,
        tenant_sealed, unavailable.
        """
        faults = Faults()
        kind = values.secret_type(request, faults)
        draft = values.draft(request, kind, faults)
        payload = await self._payloads.check(call.tenant, kind, request.payload, faults)
        environment = await self._place(call, draft, faults)
        faults.raise_any()
        assert payload is not None
        assert environment is not None
        made = await self._create(call, draft, payload, environment)
        if isinstance(made, Refused):
            raise _refusal(made, draft)
        return made

    async def list(self, call: Call, request: ListRequest) -> tuple[Page, Listing]:
        """A page or a piece, and the checked question it answers. Raises validation_error."""
        asked = listing(request)
        page = await self._store.list(call.tenant, asked)
        asked.check(page)
        return page, asked

    async def get(
        self, call: Call, secret_id: str
    ) -> tuple[SecretRow, tuple[EnvironmentValue, ...]]:
        """One secret and where it has values. Raises not_found."""
        found = await self._store.get(call.tenant, path_id(secret_id))
        if found is None:
            raise no_secret()
        return found

    async def _place(self, call: Call, draft: Draft, faults: Faults) -> Environment | None:
        """The environment to create in. An unknown collection is looked for only beside other
        faults, so that all are told at once: without any, the writing transaction finds out."""
        environment = None
        if "environment" not in faults:
            environment = await self._environments.find(call, draft.environment)
            if environment is None:
                faults.add("environment", values.NO_ENVIRONMENT)
        if (
            faults
            and draft.collection_id is not None
            and not await self._store.has_collection(call.tenant, draft.collection_id)
        ):
            faults.add("collection_id", values.NO_COLLECTION)
        return environment

    async def _create(
        self, call: Call, draft: Draft, payload: Payload, environment: Environment
    ) -> SecretRow | Refused:
        """Seal and write; begin again when what was sealed for or with is not there any more."""
        for _ in range(_PLACE_TRIES):
            made = await self._try_create(call, draft, payload, environment)
            if made is not Refused.NO_ENVIRONMENT:
                return made
            self._environments.forget(call.tenant)
            found = await self._environments.find(call, draft.environment)
            if found is None:
                return made
            environment = found
        raise UnavailableError("The tenant's environments are being changed.")

    async def _try_create(
        self, call: Call, draft: Draft, payload: Payload, environment: Environment
    ) -> SecretRow | Refused:
        """With another data key each time; the first may be of before a rotation."""
        for attempt in range(trying.TRIES):
            await trying.pause(attempt)
            secret = await self._sealed(call, draft, payload, environment)
            made = await self._creator.create(call.tenant, secret)
            if made is not Refused.STALE_KEY:
                return made
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


def _refusal(refused: Refused, draft: Draft) -> CofferError:
    if refused is Refused.NO_COLLECTION:
        return ValidationError.of("collection_id", values.NO_COLLECTION)
    if refused is Refused.NO_ENVIRONMENT:
        return ValidationError.of("environment", values.NO_ENVIRONMENT)
    if refused is Refused.PLAN_LIMIT:
        return PlanLimitError("The tenant's plan allows no more secrets.")
    return ConflictError(f"There is a secret with the name {draft.name} already.")
