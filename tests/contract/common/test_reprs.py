"""No value of ours shows a secret when somebody prints it, logs it or lets it fail an assertion."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from typing import Any

import pytest

import cli
import coffer_client
import devcloud
import gateway
import services
from services.common.sensitive import SecretBytes

SECRET_NAMES = re.compile(
    r"(^|_)(plaintext|passphrase|password|private_key|master_key|secret_access_key|api_key|jwt|token"
    r"|value|content|normal_form|dsn|database_url|authorization|signing_key|environ|overrides|operator"
    r"|headers|body)$"
)
PUBLIC = {
    "Route.response_body": "the name of a member",
    "Route.raw_json_body": "the same",
    "CloudCustomer.body": "an onboarding, which holds no secret",
    "Signed.headers": "names only",
    "Structure.key": "what a certificate certifies",
}
GUARDED = "SecretBytes"
"""A type whose own repr shows nothing."""
HARMLESS = {"bool", bool, "SealedValue"}
"""Types of fields that hold no secret whatever their name; a SealedValue is ciphertext."""


class Shown:
    """Stands for any value of a field; printed, it betrays itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Shown:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __repr__(self) -> str:
        return f"<<{self._name}>>"

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Any:
        return iter(())


def value_types() -> list[type]:
    """Every dataclass of the product."""
    found: dict[str, type] = {}
    for package in (services, gateway, cli, coffer_client, devcloud):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" in info.name or info.name.endswith("__main__"):
                continue
            module = importlib.import_module(info.name)
            for member in vars(module).values():
                if isinstance(member, type) and dataclasses.is_dataclass(member):
                    found[f"{member.__module__}.{member.__qualname__}"] = member
    return [found[name] for name in sorted(found)]


def shown(kind: type) -> set[str]:
    """The fields that an instance's repr shows."""
    make: Any = kind.__new__  # of an exception not object's
    instance: object = make(kind)
    for field in dataclasses.fields(kind):
        shows = SecretBytes(b"?") if GUARDED in str(field.type) else Shown(field.name)
        object.__setattr__(instance, field.name, shows)
    return set(re.findall(r"<<(\w+)>>", repr(instance)))


def is_secret(field: dataclasses.Field[Any]) -> bool:
    """By its name, or a key in bytes: an object that is a key shows nothing, a path may be shown."""
    if field.type in HARMLESS:
        return False
    key = field.name == "key" and field.type in {"bytes", bytes}
    return key or bool(SECRET_NAMES.search(field.name))


@pytest.mark.parametrize("kind", value_types(), ids=lambda k: f"{k.__module__}.{k.__qualname__}")
def test_a_field_with_a_secret_is_not_in_the_repr(kind: type) -> None:
    secret = {field.name for field in dataclasses.fields(kind) if is_secret(field)}
    betrayed = {name for name in shown(kind) & secret if f"{kind.__name__}.{name}" not in PUBLIC}
    assert betrayed == set()


def test_the_search_finds_what_is_shown() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Careless:
        name: str
        api_key: str

    assert shown(Careless) == {"name", "api_key"}
    assert len(value_types()) > 40
