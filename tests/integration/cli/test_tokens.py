"""Tokens of a data directory's issuer are those that the services take."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from cli.exits import Exit
from cli.local.directory import DataDirectory
from cli.local.issuer import AUDIENCE, ISSUER, DevelopmentIssuer
from cli.local.keys import LocalKeys
from services.common.tokens import TokenSettings, TokenVerifier
from tests.fixtures.command_line import Coffer

if TYPE_CHECKING:
    from pathlib import Path

TENANT = uuid.uuid4()


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    folder = DataDirectory(tmp_path / "data").secrets
    folder.mkdir(parents=True)
    keys = LocalKeys(folder)
    keys.ensure([], database_exists=False)
    DevelopmentIssuer(keys.issuer_key_file).write_jwks(keys.jwks_file)
    return keys


@pytest.fixture
def verifier(keys: LocalKeys) -> TokenVerifier:
    return TokenVerifier(TokenSettings(ISSUER, AUDIENCE, keys.jwks_file, None))


@pytest.mark.parametrize("role", ["owner", "admin", "viewer"])
async def test_an_admin_token_is_taken(
    surroundings: None, tmp_path: Path, verifier: TokenVerifier, role: str
) -> None:
    arguments = ("--tenant", str(TENANT), "--data-dir", str(tmp_path / "data"))
    result = Coffer({})("token", "admin", *arguments, "--role", role, "--subject", "bob")
    claims = await verifier.admin(result.stdout.strip())
    assert claims is not None
    assert (claims.tenant_id, claims.subject, claims.role) == (TENANT, "bob", role)


async def test_a_step_up_token_belongs_to_the_admin_token(
    surroundings: None, tmp_path: Path, verifier: TokenVerifier
) -> None:
    arguments = ("--tenant", str(TENANT), "--data-dir", str(tmp_path / "data"))
    admin = Coffer({}).json("token", "admin", *arguments)["token"]
    step_up = Coffer({}).json("token", "step-up", *arguments)["token"]
    claims = await verifier.admin(admin)
    assert claims is not None
    assert (await verifier.step_up(step_up, claims, 120)).jti
    assert await verifier.admin(step_up) is None


def test_without_an_issuer_it_is_said_what_to_do(surroundings: None, tmp_path: Path) -> None:
    arguments = ("--tenant", str(TENANT), "--data-dir", str(tmp_path))
    result = Coffer({})("token", "admin", *arguments)
    assert result.exit_code == Exit.UNREACHABLE
    assert "coffer up" in result.stderr
