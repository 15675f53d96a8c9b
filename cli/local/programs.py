"""What a stack is composed of in the product: the programs, the migrations, the tenant registry."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from cli.local.demo_tenant import Tenancy
from cli.local.services import product_programs

Migrate = Callable[[str, Mapping[str, str]], object]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts a stack runs.

    `argv` has the programs of kms, secrets, rewrap, gateway and devcloud; `migrate` is given the
    administrator's URL and the login roles' passwords; `roles` are those login roles.
    """

    argv: Mapping[str, tuple[str, ...]]
    migrate: Migrate
    roles: tuple[str, ...]
    tenancy: Tenancy


def product_parts() -> Parts:
    """The real ones. They are imported here, so that `coffer --help` does not wait for them."""
    from services.common.migrations import runner  # noqa: PLC0415

    tenancy = cast("Tenancy", importlib.import_module("cli.tenancy"))
    return Parts(product_programs(), runner.migrate, runner.LOGIN_ROLES, tenancy)
