"""Every command tells what it does, shows an example, and says what its exit status means."""

from __future__ import annotations

import functools

import pytest
from typer.main import get_command

from cli.__main__ import application

PROMISED = {
    "migrate",
    "tenant create",
    "tenant list",
    "token admin",
    "token step-up",
    "apikey create",
    "apikey revoke",
    "grant create",
    "grant list",
    "grant delete",
    "rewraps list",
    "rewraps watch",
    "rewraps start",
    "rewraps pause",
    "rewraps resume",
    "rewraps cancel",
    "rewraps throttle",
    "rewraps report",
    "kms status",
    "kms setup",
    "kms onboard",
    "kms verify",
    "kms rotate",
    "kms unseal",
    "kms revoke",
    "kms receipt",
    "kms offboard",
    "secrets list",
    "secrets get",
    "secrets create",
    "secrets import-certificate",
    "secrets inspect",
    "secrets delete",
    "secrets set",
    "secrets update",
    "secrets history",
    "secrets restore",
    "secrets undelete",
    "secrets remove-environment",
    "collections list",
    "collections get",
    "collections create",
    "collections update",
    "collections delete",
    "environments list",
    "environments create",
    "environments update",
    "environments delete",
    "apikeys list",
    "apikeys create",
    "apikeys revoke",
}
ALONE = {"secrets inspect"}
"""Commands that need no stack."""


@functools.cache
def commands() -> dict[str, tuple[str, set[str]]]:
    """Help text and options of every command."""
    found = {}

    def collect(prefix: str, command: object) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            path = f"{prefix} {name}".strip()
            if hasattr(inner, "commands"):
                collect(path, inner)
            else:
                options = {text for parameter in inner.params for text in parameter.opts}
                found[path] = (inner.help or "", options)

    collect("", get_command(application()))
    return found


def test_every_promised_command_is_there() -> None:
    assert set(commands()) >= PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_its_help_shows_an_example_and_its_exit_status(name: str) -> None:
    text, options = commands()[name]
    assert "Example: " in text
    assert "Exit status: 0 " in text
    assert "--json" in options
    assert ("--data-dir" in options) == (name not in ALONE)


ASK_THE_SERVICE = ("kms", "rewraps", "secrets", "collections", "environments", "apikeys")


@pytest.mark.parametrize("name", sorted(PROMISED - ALONE))
def test_a_status_for_what_may_pass_is_told(name: str) -> None:
    if name.split(" ", maxsplit=1)[0] in ASK_THE_SERVICE:
        text, _ = commands()[name]
        told = " ".join(text.split()).partition("Exit status: ")[2]
        assert ", 1 tenant sealed, service busy or failing, " in told


def test_off_boarding_does_not_promise_that_the_old_key_opens_nothing_while_it_drains() -> None:
    text, _ = commands()["kms offboard"]
    first, rest = text.split("\n\n", 1)
    assert "opens nothing" not in first
    assert "goes on opening what has not moved yet" in " ".join(rest.split())


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_no_command_takes_a_secret_on_the_command_line(name: str) -> None:
    _, options = commands()[name]
    forbidden = {"--value", "--passphrase", "--password", "--api-key", "--token", "--admin-jwt"}
    assert not options & forbidden
