"""`coffer audit` on a real database: the chain as it is, as it is exported, and after somebody's hand."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cli import tenancy
from cli.audit import exporting
from cli.audit.heads import SignedHead
from cli.connection import Stack
from cli.exits import Exit
from services.common.audit_chain import Head
from services.common.sensitive import SecretBytes
from services.kms.lifecycle.heads import HEAD_TYPE, head_statement
from services.kms.papers import Papers
from tests.fixtures.command_line import Coffer
from tests.fixtures.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.database import TestDatabase, TestServer

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "audit.md"
EVENTS = 6
"""The tenant's own, and five keys."""
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PAPERS = Papers(SecretBytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())))
MOMENT = "2026-03-15T12:00:00.000Z"


@pytest.fixture
def tenant(database: TestDatabase) -> str:
    """With a chain of six events."""
    return make_chain(database)


@pytest.fixture
def exported(registry: Coffer, tenant: str, tmp_path: Path) -> Path:
    """The whole chain in a file."""
    return export(registry, tenant, tmp_path / "acme.jsonl")


@pytest.fixture(scope="module")
def whole(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is exported of such a chain, for those who need no database any more."""
    with fresh_database(postgres) as database:
        made = make_chain(database)
        registry = Coffer({"COFFER_DATABASE_URL": database.admin_dsn})
        return export(registry, made, tmp_path_factory.mktemp("audit") / "x").read_text("utf-8")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The platform's public keys."""
    file = tmp_path / "keys.json"
    found = [{"kty": "OKP", "crv": "Ed25519", "kid": k.kid, "x": k.x} for k in PAPERS.public_keys]
    file.write_text(json.dumps({"keys": found}))
    return file


def make_chain(database: TestDatabase) -> str:
    """A tenant's id; its chain has what could be mistaken in a line of text."""
    made = tenancy.create_tenant(database.admin_dsn, "acme", "Acme", "pro")
    for number in range(EVENTS - 1):
        tenancy.create_api_key(database.admin_dsn, made, f'key {number} ü\u2028"\\', ["audit:read"])
    tenancy.create_tenant(database.admin_dsn, "other", "Other", "pro")
    return made


def export(registry: Coffer, tenant: str, out: Path) -> Path:
    result = registry("audit", "export", "--tenant", tenant, "--out", str(out))
    assert result.exit_code == 0, result.output
    return out


def sign(tenant: str, head: Head) -> str:
    moment = datetime(2026, 3, 15, 12, tzinfo=UTC)
    return PAPERS.sign(HEAD_TYPE, head_statement(UUID(tenant), head, moment))


def heads(file: Path) -> dict[int, Head]:
    """The head after each event of an export."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()[:-1]]
    return {row["seq"]: Head(row["seq"], bytes.fromhex(row["hash"])) for row in rows}


def procedure(folder: Path) -> Path:
    """The one of the document, as a file."""
    text = DOCUMENT.read_text("utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) <= 30
    file = folder / "procedure.py"
    file.write_text(block)
    return file


def follow(folder: Path, export: Path, *kept: str) -> subprocess.CompletedProcess[str]:
    """The documented procedure, by an interpreter that has the standard library only."""
    command = [sys.executable, "-I", "-S", str(procedure(folder)), str(export), *kept]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_whole_chain_holds_and_its_head_is_told(registry: Coffer, tenant: str) -> None:
    found = registry.json("audit", "verify", "--tenant", "acme")
    assert (found["ok"], found["events"], found["first_broken"]) == (True, EVENTS, None)
    part = registry.json("audit", "verify", "--tenant", tenant, "--from", "4")
    assert (part["events"], part["head"]) == (EVENTS - 3, found["head"])
    assert found["head"] in registry("audit", "verify", "--tenant", "acme").stdout
    beyond = registry("audit", "verify", "--tenant", "acme", "--from", str(EVENTS + 2))
    assert beyond.exit_code == Exit.REFUSED
    assert registry("audit", "verify", "--tenant", "nobody").exit_code == Exit.REFUSED


def test_the_first_broken_link_is_named(
    registry: Coffer, tenant: str, database: TestDatabase, tmp_path: Path
) -> None:
    database.tamper(
        "update audit.event set actor = 'x' where tenant_id = %s and seq = 3", (tenant,)
    )
    result = registry("audit", "verify", "--tenant", "acme")
    assert result.exit_code == Exit.FAILED
    assert "BROKEN at event 3" in result.stderr
    assert registry("audit", "verify", "--tenant", "acme", "--from", "4").exit_code == 0
    out = tmp_path / "evidence.jsonl"
    kept = registry("audit", "export", "--tenant", "acme", "--out", str(out))
    assert kept.exit_code == Exit.FAILED
    assert "BROKEN at event 3" in kept.stderr
    assert "event 3" in registry("audit", "check", str(out)).stderr
    database.tamper("delete from audit.event where tenant_id = %s and seq > 4", (tenant,))
    assert (
        "BROKEN at event 5" in registry("audit", "verify", "--tenant", tenant, "--from", "4").stderr
    )


def test_an_export_is_private_whole_and_holds_without_a_database(
    registry: Coffer, exported: Path
) -> None:
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert len(exported.read_bytes().splitlines()) == EVENTS + 1
    registry.environ.clear()
    found = registry.json("audit", "check", str(exported))
    assert (found["events"], found["from"], found["head"]["seq"]) == (EVENTS, 1, EVENTS)


def test_a_part_of_a_chain_goes_to_standard_output(
    registry: Coffer, tenant: str, tmp_path: Path
) -> None:
    for first in (4, EVENTS + 1):
        printed = registry("audit", "export", "--tenant", tenant, "--from", str(first)).stdout
        file = tmp_path / f"{first}.jsonl"
        file.write_text(printed)
        found = registry.json("audit", "check", str(file))
        assert (found["from"], found["events"]) == (first, EVENTS + 1 - first)
    assert follow(tmp_path, tmp_path / "4.jsonl").returncode == 0


def changed(line: int, **members: object) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[line].update(members)


@pytest.mark.parametrize(
    ("hand", "broken"),
    [
        (changed(1, actor="nobody"), 2),
        (changed(1, created_at=MOMENT.replace("000Z", "000000Z")), 2),
        (changed(2, details="{}"), 3),
        (changed(2, note="added"), 3),
        (lambda rows: rows[3].pop("ip_address"), 4),
        (changed(0, previous_hash="0" * 64), 1),
        (changed(4, hash="0" * 64), 5),
        (lambda rows: rows.pop(2), 3),
        (lambda rows: rows.insert(2, rows[1]), 3),
        (lambda rows: rows.pop(-2), EVENTS),
        (lambda rows: rows.pop(), EVENTS + 1),
        (lambda rows: rows.append(rows[0]), EVENTS + 1),
        (lambda rows: rows[-1]["head"].update(seq=EVENTS + 1), EVENTS + 1),
        (lambda rows: rows.pop(0), 1),
    ],
)
def test_an_export_that_somebody_changed_is_broken_where_he_did(
    whole: str, tmp_path: Path, hand: Callable[[list[dict[str, Any]]], None], broken: int
) -> None:
    file = tmp_path / "changed"
    file.write_text(rewritten(whole, hand))
    result = Coffer({})("audit", "check", str(file))
    assert result.exit_code == Exit.FAILED
    assert f"BROKEN at event {broken}:" in result.stderr


def rewritten(whole: str, hand: Callable[[list[dict[str, Any]]], object]) -> str:
    """What somebody's hand made of an export."""
    rows = [json.loads(line) for line in whole.splitlines()]
    hand(rows)
    return "".join(json.dumps(row) + "\n" for row in rows)


def front_cut(rows: list[dict[str, Any]]) -> None:
    """Whoever cuts the front, and says so in the end."""
    del rows[:2]
    rows[-1]["from"] = 3


def only_the_end(rows: list[dict[str, Any]]) -> None:
    """As if everything had been shown before."""
    del rows[:-1]
    rows[-1]["from"] = EVENTS + 1


def test_the_documented_procedure_finds_what_the_command_finds(whole: str, tmp_path: Path) -> None:
    exported = tmp_path / "export"
    exported.write_text(whole)
    result = follow(tmp_path, exported)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"holds from 1 to {EVENTS}, " in result.stdout
    lines = whole.splitlines(keepends=True)
    for text, said in (
        (whole.replace("key 2", "key X"), "broken at event 4"),
        ("".join(lines[:2] + lines[3:]), "broken at event 3"),
        ("".join(lines[:-1]), f"broken at event {EVENTS + 1}"),
        ("".join(lines[:-2] + lines[-1:]), f"broken at event {EVENTS}"),
        ("".join(lines[1:]), "broken at event 1"),
        (lines[-1], "broken at event 1"),
        (rewritten(whole, only_the_end), f"no event {EVENTS}"),
        (rewritten(whole, changed(1, created_at="2026-03-15T12:00:00.000000Z")), "at event 2"),
        (rewritten(whole, changed(1, note="unhashed")), "broken at event 2"),
        (rewritten(whole, changed(-1, note="unhashed")), f"broken at event {EVENTS + 1}"),
        (whole.replace('"seq":3,', '"seq":3,"actor":"x",'), "broken at event 3"),
        (whole + lines[0], f"broken at event {EVENTS + 1}"),
    ):
        exported.write_text(text)
        result = follow(tmp_path, exported)
        assert (result.returncode, result.stdout) == (1, ""), said
        assert said in result.stderr


def test_the_documented_procedure_passes_only_what_the_kept_head_is_in(
    whole: str, tmp_path: Path
) -> None:
    exported = tmp_path / "export"
    exported.write_text(whole)
    at = heads(exported)
    exported.write_text(rewritten(whole, front_cut))
    for seq, hash_, said in (
        (5, at[5].hash.hex(), f"holds from 3 to {EVENTS}"),
        (5, "0" * 64, "broken at event 5"),
        (2, at[2].hash.hex(), "no event 2"),
        (EVENTS + 3, "0" * 64, f"broken at event {EVENTS + 1}"),
    ):
        result = follow(tmp_path, exported, str(seq), hash_)
        assert (result.returncode == 0) == said.startswith("holds")
        assert said in result.stdout + result.stderr


def test_a_chain_made_anew_shows_against_a_head_that_was_kept(
    registry: Coffer,
    tenant: str,
    exported: Path,
    keys: Path,
    tmp_path: Path,
    database: TestDatabase,
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(sign(tenant, heads(exported)[4]))
    check = ("audit", "check", str(exported), "--head", str(kept), "--keys", str(keys))
    assert registry.json(*check)["kept_head_checked"]
    assert registry(*check[:-2]).exit_code == Exit.USAGE
    # What only a superuser can: away with the third event and all after it, and others in their place.
    database.tamper("delete from audit.event where tenant_id = %s and seq >= 3", (tenant,))
    database.tamper(
        "update audit.head h set seq = 2, hash = e.hash from audit.event e where e.tenant_id = %s"
        " and h.tenant_id = e.tenant_id and e.seq = 2",
        (tenant,),
    )
    short = registry("audit", "export", "--tenant", tenant, "--out", str(exported))
    assert short.exit_code == 0
    cut = registry(*check)
    assert cut.exit_code == Exit.FAILED
    assert "BROKEN at event 3: the kept head is event 4" in cut.stderr
    for number in range(4):
        tenancy.create_api_key(database.admin_dsn, tenant, f"forged {number}", ["audit:read"])
    assert registry("audit", "verify", "--tenant", tenant).exit_code == 0
    registry("audit", "export", "--tenant", tenant, "--out", str(exported))
    forged = registry(*check)
    assert forged.exit_code == Exit.FAILED
    assert "BROKEN at event 4: the kept head has another hash" in forged.stderr


def test_a_signed_head_is_in_the_export_and_worth_its_signature(
    registry: Coffer,
    tenant: str,
    exported: Path,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = heads(exported)[5]  # one more was appended after kms had signed
    signed = SignedHead(tenant, at, MOMENT, sign(tenant, at))
    monkeypatch.setattr(exporting, "sign_head", lambda *_: signed)
    monkeypatch.setattr(Stack, "operator", lambda _: None)
    out = tmp_path / "signed.jsonl"
    command = ("audit", "export", "--tenant", tenant, "--signed-head", "--out", str(out))
    assert registry(*command).exit_code == 0
    found = registry.json("audit", "check", str(out), "--keys", str(keys))
    assert (found["events"], found["signed_head_checked"]) == (5, True)
    assert "NOT checked: the signed head" in registry("audit", "check", str(out)).stdout
    other = json.loads(keys.read_text())
    stranger = Ed25519PrivateKey.generate()
    pem = stranger.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    [strange] = Papers(SecretBytes(pem)).public_keys
    other["keys"] = [{"kty": "OKP", "crv": "Ed25519", "kid": strange.kid, "x": strange.x}]
    keys.write_text(json.dumps(other))
    result = registry("audit", "check", str(out), "--keys", str(keys))
    assert result.exit_code == Exit.FAILED
    assert "NOT genuine" in result.stderr


def test_a_kept_head_vouches_for_no_event_that_is_not_in_the_export(
    whole: str, keys: Path, tmp_path: Path
) -> None:
    exported, kept = tmp_path / "export", tmp_path / "kept"
    exported.write_text(whole)
    tenant, at = json.loads(whole.splitlines()[0])["tenant_id"], heads(exported)
    check = ("audit", "check", str(exported), "--head", str(kept), "--keys", str(keys))
    for hand, seq in ((front_cut, 2), (only_the_end, EVENTS), (only_the_end, 1)):
        kept.write_text(sign(tenant, at[seq]))
        exported.write_text(rewritten(whole, hand))
        result = Coffer({})(*check)
        assert result.exit_code == Exit.USAGE, result.output
        assert "could not be checked: the kept head" in result.stderr
    exported.write_text(rewritten(whole, front_cut))
    kept.write_text(sign(tenant, at[5]))
    said = Coffer({})(*check).stdout
    assert "events 3 to 5 are as they were" in said
    assert "NOT checked: the events before 3" in said


def test_a_signed_head_that_was_taken_out_or_put_on_other_events_is_no_proof(
    whole: str, keys: Path, tmp_path: Path
) -> None:
    exported, kept = tmp_path / "export", tmp_path / "kept"
    exported.write_text(whole)
    check = ("audit", "check", str(exported), "--keys", str(keys))
    stripped = Coffer({})(*check)
    assert stripped.exit_code == Exit.USAGE
    assert "NOT checked: the export has no signed head" in stripped.stderr
    tenant, at = json.loads(whole.splitlines()[0])["tenant_id"], heads(exported)
    kept.write_text(sign(tenant, at[4]))
    result = Coffer({})(*check, "--head", str(kept))
    assert result.exit_code == 0
    assert "NOT checked: the export has no signed head" in result.stdout
    exported.write_text(rewritten(whole, changed(-1, signed_head=sign(tenant, at[4]))))
    for more in ((), ("--head", str(kept))):
        result = Coffer({})(*check, *more)
        assert result.exit_code == Exit.FAILED
        assert "BROKEN at event 5: the signed head in the export is event 4" in result.stderr


def test_an_export_that_cannot_be_written_leaves_nothing(
    registry: Coffer, tenant: str, tmp_path: Path
) -> None:
    folder = tmp_path / "missing"
    result = registry("audit", "export", "--tenant", tenant, "--out", str(folder / "x"))
    assert result.exit_code == Exit.FAILED
    assert not folder.exists()
