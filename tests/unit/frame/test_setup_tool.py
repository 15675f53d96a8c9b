"""What breaks when the environment is thought to be up to date and is not, or Python is too old."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from tools import setup

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "3.13.1"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the two files that an environment is made from."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text("a==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "LOCK", tmp_path / "requirements" / "dev.txt")
    return tmp_path


@pytest.mark.parametrize("version", [(3, 11), (3, 14)])
def test_every_python_with_wheels_will_do(version: tuple[int, int]) -> None:
    assert setup.suitable(version)


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 15), (4, 0)])
def test_a_python_without_wheels_will_not_do(version: tuple[int, int]) -> None:
    assert not setup.suitable(version)


def test_an_old_python_is_told_so_instead_of_failing_in_pip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as stopped:
        setup.use_a_suitable_interpreter()
    assert "needs Python 3.11 to 3.14" in str(stopped.value)
    assert "3.9" in str(stopped.value)
    assert "PYTHON=" in str(stopped.value)


def test_an_old_python_can_read_the_script_that_tells_it_so(root: Path) -> None:
    text = (root / "tools" / "setup.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 7))


def test_an_interpreter_that_does_not_run_is_no_interpreter(tmp_path: Path) -> None:
    assert setup.version_of(tmp_path / "nothing") is None


@pytest.mark.parametrize("changed", ["requirements/dev.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_again(checkout: Path, changed: str) -> None:
    before = setup.fingerprint(VERSION)
    assert setup.fingerprint(VERSION) == before
    (checkout / changed).write_text("different\n")
    assert setup.fingerprint(VERSION) != before


def test_text_moved_between_the_files_is_a_change(checkout: Path) -> None:
    before = setup.fingerprint(VERSION)
    (checkout / "requirements" / "dev.txt").write_text("a==1\n[project]\n")
    (checkout / "pyproject.toml").write_text("")
    assert setup.fingerprint(VERSION) != before


def test_another_python_or_a_moved_checkout_is_a_change(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = setup.fingerprint(VERSION)
    assert setup.fingerprint("3.12.0") != before
    monkeypatch.setattr(setup, "ROOT", checkout / "." / ".." / checkout.name)
    assert setup.fingerprint(VERSION) != before
