"""What breaks when a process reads a setting that no document knows, or a document invents one."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "settings.md"
SETTING = re.compile(r"\bCOFFER_[A-Z0-9_]*[A-Z0-9]\b")
PROCESSES = {
    "KMS": "services.kms",
    "SECRETS": "services.secrets",
    "REWRAP": "services.rewrap",
    "GATEWAY": "gateway",
}
READ_FIRST = {"COFFER_LOG_LEVEL"}  # before the settings, so that their faults can be logged
OF_COMPOSE = {"COFFER_VERSION", "COFFER_PUBLISH"}  # docker-compose.yml's own


class Environment(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def bare(names: set[str]) -> set[str]:
    """Without the suffix that only says where a secret is read from."""
    return {name.removesuffix("_FILE") for name in names}


def documented() -> dict[str, set[str]]:
    """Process -> its settings on the page; the rest of the page under the name it has there."""
    found: dict[str, set[str]] = {process: set() for process in PROCESSES}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, rows = section.partition("\n")
        named = PROCESSES if title == "Every process" else title.upper().split(", ")
        for process in named:
            text = rows.replace("<S>", process)
            settings = re.findall(r"^\| `(COFFER_[A-Z0-9_]+)`", text, re.MULTILINE)
            found.setdefault(process, set()).update(bare(set(settings)))
    return found


def reader_of(module: str) -> Callable[[Mapping[str, str]], Any]:
    """Each process has `Settings.read(environ)` in its settings module."""
    read: Callable[[Mapping[str, str]], Any] = importlib.import_module(
        f"{module}.settings"
    ).Settings.read
    return read


def read_by(module: str) -> set[str]:
    """Every variable that a process looks at when it starts."""
    environment = Environment()
    with pytest.raises(Exception, match="COFFER_"):
        reader_of(module)(environment)
    asked = {name for name in environment.asked if name.startswith("COFFER_")}
    return bare(asked | READ_FIRST)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_page_lists_what_a_process_reads_and_nothing_else(process: str) -> None:
    assert read_by(PROCESSES[process]) == documented()[process]


@pytest.mark.parametrize(
    "document", ["README.md", "docker-compose.yml", ".env.example", "deploy/prepare.sh"]
)
def test_no_document_uses_a_setting_that_does_not_exist(document: str) -> None:
    used = set(SETTING.findall((ROOT / document).read_text(encoding="utf-8")))
    assert bare(used) - OF_COMPOSE - set().union(*documented().values()) == set()


def test_every_row_has_a_form_a_default_and_a_meaning() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `COFFER"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 4, line
            assert all(cells), line
