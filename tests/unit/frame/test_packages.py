"""What breaks when a package of ours is not in the distribution, or not under the type checker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from pathlib import Path

NOT_SHIPPED = {"tests", "tools", "benchmarks", "examples"}


@pytest.fixture
def packages(root: Path) -> set[str]:
    """Every package at the root that others can import."""
    return {path.parent.name for path in root.glob("*/__init__.py")} - NOT_SHIPPED


def test_the_wheel_holds_every_package_and_the_contract(
    packages: set[str], project: dict[str, Any]
) -> None:
    shipped = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert packages | {"protos/gen/coffer"} == shipped


def test_every_package_is_type_checked(packages: set[str], project: dict[str, Any]) -> None:
    assert packages | NOT_SHIPPED <= set(project["tool"]["mypy"]["files"])


def test_what_is_declared_is_what_is_locked_and_lets_the_lock_in(
    root: Path, project: dict[str, Any]
) -> None:
    lines = (root / "requirements" / "runtime.in").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    locked = {pin.name: pin for pin in pins}
    ours = project["project"]
    everything = [*ours["dependencies"], *ours["optional-dependencies"]["server"]]
    declared = {one.name: one for one in map(Requirement, everything)}
    assert declared.keys() == locked.keys()
    for name, pin in locked.items():
        (version,) = (one.version for one in pin.specifier)
        assert version in declared[name].specifier, name
        assert (pin.extras, pin.marker) == (declared[name].extras, declared[name].marker)
        assert all(one.operator == ">=" for one in declared[name].specifier), name


def test_the_client_tells_type_checkers_that_it_is_typed(root: Path) -> None:
    assert (root / "coffer_client" / "py.typed").is_file()
