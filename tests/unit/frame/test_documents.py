"""What breaks when a document points at something that is not there, or says what is not so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name_of(path: Path) -> str:
    """How a test report names a document."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_link_points_at_nothing(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_command_block_is_broken(document: Path) -> None:
    for block in re.findall(
        r"^```bash[^\n]*\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        checked = subprocess.run(
            ["bash", "-n"], input=block, text=True, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("script", [".ci/run", "deploy/prepare.sh"])
def test_no_script_is_broken(script: str) -> None:
    text = (ROOT / script).read_text(encoding="utf-8")
    shell = "bash" if text.startswith("#!/usr/bin/env bash") else "sh"
    checked = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("script", [".ci/run", "deploy/prepare.sh"])
def test_no_script_goes_on_after_a_failure(script: str) -> None:
    assert re.search(r"^set -eu", (ROOT / script).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    records = {path.name for path in folder.glob("0*.md")}
    listed = re.findall(r"\]\((0\d+-[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(records) == listed
    numbers = [int(name[:4]) for name in listed]
    assert numbers == list(range(1, len(numbers) + 1))
    for name in listed:
        title = (folder / name).read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {int(name[:4])}. ")


def test_the_changelog_knows_where_the_next_change_goes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.count("## [Unreleased]") == 1


def test_the_license_is_the_one_declared(project: dict[str, Any]) -> None:
    assert project["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
