"""`coffer` as a person runs it, with nothing of the surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.certificates import chain, issue, key_pem
from tests.fakes.cli_gateway import Gateway
from tests.fixtures.command_line import Coffer
from tests.integration.cli.certificates import PASSPHRASE, POST, ROW, key_der

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.certificates import Chain
    from tests.fixtures.database import TestDatabase


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours and no data directory."""
    import os

    for name in [name for name in os.environ if name.startswith("COFFER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def registry(surroundings: None, database: TestDatabase) -> Coffer:
    """On a real database."""
    return Coffer({"COFFER_DATABASE_URL": database.admin_dsn})


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway({}).serving() as serving:
        yield serving


@pytest.fixture
def coffer(surroundings: None, gateway: Gateway) -> Coffer:
    """On a scripted gateway."""
    return Coffer(
        {
            "COFFER_BASE_URL": gateway.url,
            "COFFER_API_KEY": "tk_live_x",
            "COFFER_ADMIN_JWT": "ey.admin.x",
            "COFFER_STEP_UP": "ey.step.x",
        }
    )


@pytest.fixture
def made(surroundings: None, tmp_path: Path) -> Chain:
    """A chain in files of the working folder: PEM, DER, and the leaf's key in four shapes."""
    made = chain()
    for label, issued in (("leaf", made.leaf), ("ca", made.intermediate), ("root", made.root)):
        (tmp_path / f"{label}.pem").write_text(issued.pem)
        (tmp_path / f"{label}.der").write_bytes(issued.der)
    (tmp_path / "key.pem").write_text(made.leaf.key_pem)
    (tmp_path / "key.der").write_bytes(key_der(made.leaf))
    (tmp_path / "locked.pem").write_text(key_pem(made.leaf.key, PASSPHRASE))
    (tmp_path / "other.pem").write_text(issue().key_pem)
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    return made


@pytest.fixture
def storing(coffer: Coffer, gateway: Gateway, made: Chain) -> Coffer:
    """With a gateway that stores everything."""
    gateway.answers[POST] = (201, {"data": ROW})
    return coffer
