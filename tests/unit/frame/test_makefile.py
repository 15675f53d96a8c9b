"""What breaks when a target is renamed, undocumented, or skips the set-up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_SETUP = {"help", "setup", "clean"}
WANTED = {"setup", "demo", "test", "test-slow", "bench", "lint", "format", "protos", "openapi"}
RULE = re.compile(r"^([a-z][a-z-]*):([^=#\n]*)(?:## (.*))?$", re.MULTILINE)


def rules(makefile: str) -> dict[str, tuple[list[str], str]]:
    """Target -> (what it needs first, what `make help` says of it)."""
    return {name: (needs.split(), text or "") for name, needs, text in RULE.findall(makefile)}


def test_every_target_is_listed_by_make_help(makefile: str) -> None:
    found = rules(makefile)
    assert found.keys() >= WANTED
    assert {name for name, (_, text) in found.items() if not text} == set()


def test_no_target_is_mistaken_for_a_file_of_that_name(makefile: str) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony.group(1).split()) == rules(makefile).keys()


def test_every_target_sets_up_first(makefile: str) -> None:
    for name, (needs, _) in rules(makefile).items():
        assert ("setup" in needs) is (name not in WITHOUT_SETUP), name


def test_help_is_what_a_bare_make_prints(makefile: str) -> None:
    assert ".DEFAULT_GOAL := help" in makefile


def test_cleaning_leaves_the_data_directory_alone(makefile: str) -> None:
    recipe = makefile.partition("\nclean:")[2].partition("\n")[2]
    assert "rm -rf" in recipe
    assert ".coffer" not in recipe


def test_lint_runs_every_check_of_the_contract(makefile: str) -> None:
    recipe = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    for check in (
        "ruff check",
        "ruff format --check",
        "mypy",
        "lint-imports",
        "buf lint",
        "tools/protos.py --check",
        "gateway.openapi --check",
        "vendor.compose-spec",
    ):
        assert check in recipe


def test_no_failing_check_is_ignored(makefile: str) -> None:
    assert not re.search(r"^\t@?-", makefile, re.MULTILINE)
    assert "|| true" not in makefile


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", ".ci/run", "docker-compose.yml"]
)
def test_no_document_names_a_target_that_is_gone(root: Path, makefile: str, document: str) -> None:
    text = (root / document).read_text(encoding="utf-8")
    lines = re.findall(r"(?:^|`|step )make ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
    named = {word for line in lines for word in line.split()}
    assert named - rules(makefile).keys() == set()


def test_ci_runs_the_commands_that_the_readme_names(root: Path) -> None:
    steps = re.findall(
        r"^step (.*)$", (root / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE
    )
    readme = (root / "README.md").read_text(encoding="utf-8")
    for command in ("make demo", "make test"):
        assert command in steps
        assert f"```bash\n{command}\n```" in readme
