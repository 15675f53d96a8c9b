"""What breaks when a contract of import-linter no longer matches anything and so always passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ("kms", "secrets", "rewrap")
SAME_IN_EACH = ("__main__", "settings", "model", "ports", "service", "rpc", "tables", "store")


def contracts(project: dict[str, Any]) -> list[dict[str, Any]]:
    """The contracts of pyproject.toml."""
    found: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return found


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", SAME_IN_EACH)
def test_who_knows_one_service_knows_three(root: Path, service: str, name: str) -> None:
    folder = root / "services" / service
    assert (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def test_every_wildcard_matches_a_module(root: Path, project: dict[str, Any]) -> None:
    keys = ("source_modules", "forbidden_modules", "modules", "protected_modules")
    expressions = {
        expression
        for contract in contracts(project)
        for key in keys
        for expression in contract.get(key, [])
        if expression.startswith(("services", "gateway", "cli", "devcloud"))
    }
    assert expressions
    for expression in expressions:
        path = expression.replace(".", "/")
        assert [*root.glob(f"{path}.py"), *root.glob(f"{path}/__init__.py")], expression


def test_every_package_of_ours_is_under_the_rules(root: Path, project: dict[str, Any]) -> None:
    held = set(project["tool"]["importlinter"]["root_packages"])
    shipped = {path.parent.name for path in root.glob("*/__init__.py")}
    assert shipped <= held


def test_the_rules_look_at_libraries_too(project: dict[str, Any]) -> None:
    assert project["tool"]["importlinter"]["include_external_packages"] is True
