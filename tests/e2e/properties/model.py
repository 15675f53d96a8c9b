"""What a tenant's client API does, as a small model in memory: the same answers, without a database.

What is held to what:

- methods, statuses, codes, who may what, that versions go up by one, and what an environment or a collection
  takes with it or keeps from being deleted: the wire contract
- that a version never comes back after its value was removed, so that If-Match 0 puts the next one; that an
  environment made again counts from 1; what a lost base is, and that a deleted secret without any value is
  gone: docs/api.md, "Changes"; which base a restore may name: the description of that request
- which repeated requests are answered again: docs/api.md, "Idempotency"
- which event each change writes: docs/audit.md, "Actions"

Promised nowhere and written down as it is: which base a deleted secret is shown with after it lost its own
(the default environment, else the first by name), the order of the events that one deleted environment
writes, and which refusal is told where two apply.

An expected answer is a status and, for a refusal, its code; what a success shows is compared by the
operations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

Answer = tuple[int, str | None]
Event = tuple[str, str]
"""Action, and the id of what it befell."""

OK: Answer = (200, None)
CREATED: Answer = (201, None)
NOT_FOUND: Answer = (404, "not_found")
CONFLICT: Answer = (409, "conflict")
INVALID: Answer = (400, "validation_error")
NOT_DELETED: Answer = (409, "invalid_state")
MISMATCH: Answer = (412, "version_mismatch")

DEFAULT = "production"


@dataclass
class Secret:
    """One secret: its values by environment and version, and the counters that outlive them."""

    name: str
    base: str
    lost_base: bool = False
    description: str | None = None
    collection: str | None = None
    deleted: bool = False
    values: dict[str, dict[int, str]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def store(self, environment: str, value: str) -> int:
        """The version that the value gets."""
        version = self.counters.get(environment, 0) + 1
        self.counters[environment] = version
        self.values.setdefault(environment, {})[version] = value
        return version

    def twin(self) -> Secret:
        values = {place: dict(kept) for place, kept in self.values.items()}
        return replace(self, values=values, counters=dict(self.counters))

    def current(self, environment: str) -> int:
        """0 where there is no value."""
        return max(self.values.get(environment, {}), default=0)


@dataclass
class Tenant:
    """Everything of one tenant, by the ids that the service gave."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    environments: dict[str, str] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Ids of what there was."""
    events: list[Event] = field(default_factory=list)
    """What the audit has to tell, in order."""

    # Looking

    def twin(self) -> Tenant:
        """One to try on what would come of a call: the same but for its events."""
        secrets = {key: secret.twin() for key, secret in self.secrets.items()}
        return Tenant(secrets, dict(self.environments), dict(self.collections), set(self.gone))

    def live(self) -> dict[str, Secret]:
        return {key: secret for key, secret in self.secrets.items() if not secret.deleted}

    def named(self, name: str) -> Secret | None:
        return next((secret for secret in self.live().values() if secret.name == name), None)

    def find(self, secret_id: str) -> Secret | None:
        """A live one."""
        return self.live().get(secret_id)

    def fetch(
        self, secret: Secret | None, environment: str | None = None, version: int | None = None
    ) -> str:
        """The value that a consumer gets, or the code of the refusal."""
        if secret is None or secret.deleted:
            return "not_found"
        kept = secret.values.get(environment or secret.base, {})
        return kept.get(version or secret.current(environment or secret.base), "not_found")

    def _done(self, action: str, key: str, answer: Answer = OK) -> Answer:
        self.events.append((action, key))
        return answer

    # Secrets

    def create(self, name: str, environment: str | None, collection: str | None) -> Answer:
        if environment not in {None, *self.environments.values()}:
            return INVALID
        if collection is not None and collection not in self.collections:
            return INVALID
        return CONFLICT if self.named(name) else CREATED

    def created(
        self, key: str, name: str, value: str, environment: str | None, collection: str | None
    ) -> None:
        secret = Secret(name, environment or DEFAULT, collection=collection)
        secret.store(secret.base, value)
        self.secrets[key] = secret
        self._done("secret.created", key)

    def rename(self, secret_id: str, name: str) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        holder = self.named(name)
        if holder is not None and holder is not secret:
            return CONFLICT
        secret.name = name
        return self._done("secret.updated", secret_id)

    def describe(self, secret_id: str, text: str | None) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        secret.description = text
        return self._done("secret.updated", secret_id)

    def collect(self, secret_id: str, collection: str | None) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if collection is not None and collection not in self.collections:
            return INVALID
        secret.collection = collection
        return self._done("secret.updated", secret_id)

    def put(self, secret_id: str, value: str, environment: str | None, match: int | None) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if environment not in {None, *self.environments.values()}:
            return INVALID
        if match is not None and match != secret.current(environment or secret.base):
            return MISMATCH
        secret.store(environment or secret.base, value)
        return self._done("secret.value_updated", secret_id)

    def restore_version(self, secret_id: str, environment: str, version: int) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if environment not in self.environments.values():
            return INVALID
        if version not in secret.values.get(environment, {}):
            return NOT_FOUND
        secret.store(environment, secret.values[environment][version])
        return self._done("secret.version_restored", secret_id)

    def remove(self, secret_id: str, environment: str) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if environment == secret.base:
            return CONFLICT
        if not secret.values.get(environment):
            return NOT_FOUND
        del secret.values[environment]
        return self._done("secret.environment_removed", secret_id)

    def delete(self, secret_id: str) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        secret.deleted = True
        return self._done("secret.deleted", secret_id)

    def undelete(self, secret_id: str, base: str | None = None) -> Answer:
        secret = self.secrets.get(secret_id)
        if secret is None:
            return NOT_FOUND
        if not secret.deleted:
            return NOT_DELETED
        if self.named(secret.name) or (base is None and secret.lost_base):
            return CONFLICT
        if base is not None:
            if not secret.values.get(base) or not (secret.lost_base or base == secret.base):
                return INVALID
            secret.base = base
        secret.deleted = secret.lost_base = False
        return self._done("secret.restored", secret_id)

    # Groups

    def make_environment(self, name: str) -> Answer:
        return CONFLICT if name in self.environments.values() else CREATED

    def made_environment(self, key: str, name: str) -> None:
        self.environments[key] = name
        self._done("environment.created", key)

    def drop_environment(self, environment_id: str) -> Answer:
        name = self.environments.get(environment_id)
        if name is None:
            return NOT_FOUND
        if name == DEFAULT or any(secret.values.get(name) for secret in self.live().values()):
            return CONFLICT
        del self.environments[environment_id]
        self.gone.add(environment_id)
        told: dict[str, list[str]] = {
            "secret.environment_removed": [],
            "secret.rebased": [],
            "secret.purged": [],
        }
        for key, secret in sorted(self.secrets.items()):
            for action in self._without(key, secret, name):
                told[action].append(key)
        for action, keys in told.items():
            for key in keys:
                self._done(action, key)
        return self._done("environment.deleted", environment_id)

    def _without(self, key: str, secret: Secret, environment: str) -> list[str]:
        """Values of deleted secrets go with an environment; one without any value is gone. The actions."""
        had_value = bool(secret.values.pop(environment, None))
        secret.counters.pop(environment, None)
        done = ["secret.environment_removed"] if had_value else []
        if secret.base != environment:
            return done
        left = sorted((name != DEFAULT, name) for name, kept in secret.values.items() if kept)
        if left:
            secret.base, secret.lost_base = left[0][1], True
            return [*done, "secret.rebased"]
        del self.secrets[key]
        self.gone.add(key)
        return ["secret.purged"]

    def make_collection(self, name: str) -> Answer:
        return CONFLICT if name in self.collections.values() else CREATED

    def made_collection(self, key: str, name: str) -> None:
        self.collections[key] = name
        self._done("collection.created", key)

    def drop_collection(self, collection_id: str) -> Answer:
        if self.collections.pop(collection_id, None) is None:
            return NOT_FOUND
        self.gone.add(collection_id)
        for secret in self.secrets.values():
            if secret.collection == collection_id:
                secret.collection = None
        return self._done("collection.deleted", collection_id)
