"""What breaks when the image runs as root, drifts from the lock, or takes a key along."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[tuple[str, str]]:
    """(INSTRUCTION, arguments), continuation lines joined, comments dropped."""
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    pairs = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, arguments.strip()) for name, _, arguments in pairs]


@pytest.fixture(scope="module")
def final_stage(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The instructions of the image that is shipped."""
    starts = [index for index, (name, _) in enumerate(instructions) if name == "FROM"]
    assert len(starts) > 1, "one stage would ship pip's leftovers"
    return instructions[starts[-1] :]


def test_the_base_is_pinned_to_a_version(instructions: list[tuple[str, str]]) -> None:
    arguments = dict(pair.split("=", 1) for name, pair in instructions if name == "ARG")
    for name, image in instructions:
        if name == "FROM":
            real = image.split()[0].replace("${PYTHON_IMAGE}", arguments["PYTHON_IMAGE"])
            assert re.fullmatch(
                r"python:3\.1[1-4](\.\d+)?-slim-[a-z]+(@sha256:[0-9a-f]{64})?", real
            )


def test_it_does_not_run_as_root(final_stage: list[tuple[str, str]]) -> None:
    users = [arguments for name, arguments in final_stage if name == "USER"]
    assert users, "without USER it is root"
    # By number: a runtime that demands "not root" cannot check a name.
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_everything_installed_is_locked_by_hash(instructions: list[tuple[str, str]]) -> None:
    installs = [text for name, text in instructions if name == "RUN" and "pip install" in text]
    assert installs
    for text in installs:
        assert "--require-hashes" in text
        assert "--only-binary :all:" in text


def test_nothing_is_fetched_past_the_lock(instructions: list[tuple[str, str]]) -> None:
    for name, arguments in instructions:
        assert name != "ADD"
        assert not re.search(r"\b(curl|wget|git clone|apt-get|pip install \w)", arguments)


def test_no_secret_is_baked_in(instructions: list[tuple[str, str]]) -> None:
    for name, arguments in instructions:
        if name in {"ENV", "ARG", "LABEL"}:
            assert not re.search(
                r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL", arguments, re.IGNORECASE
            )


def test_a_signal_reaches_python_and_not_a_shell(final_stage: list[tuple[str, str]]) -> None:
    commands = [arguments for name, arguments in final_stage if name in {"CMD", "ENTRYPOINT"}]
    assert commands
    assert all(arguments.startswith("[") for arguments in commands)


def test_what_is_copied_exists_and_passes_the_allow_list(
    root: Path, instructions: list[tuple[str, str]]
) -> None:
    ignored = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored, "an allow-list begins with refusing everything"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for name, arguments in instructions:
        if name == "COPY" and "--from=" not in arguments:
            copied.update(shlex.split(arguments)[:-1])
    assert copied == allowed
    assert {path for path in copied if not (root / path).exists()} == set()


def test_no_key_or_data_folder_is_within_reach_of_the_build(root: Path) -> None:
    allowed = {
        line[1:].split("/")[0]
        for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert allowed.isdisjoint({".git", ".coffer", ".env", "deploy", "tests", ".venv", "devcloud"})
