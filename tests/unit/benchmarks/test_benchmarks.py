"""What would make the limits no limits, or put a credential where others see it."""

from __future__ import annotations

import json
import uuid

import pytest

from benchmarks.__main__ import make_plan
from benchmarks.bare_rewrap import master_key
from benchmarks.children import environment
from benchmarks.ground import made_since
from benchmarks.http_load import requests
from benchmarks.pgbench import environment as libpq
from benchmarks.plan import FULL, QUICK
from benchmarks.processes import cpu_ms_each
from benchmarks.profiles import own_times, package
from benchmarks.rewraps import fairness, sizes
from services.common.envelope import CannotOpenError


def test_the_bare_loop_uses_the_crypto_of_kms() -> None:
    tenant_id, key_id = uuid.uuid4(), uuid.uuid4().bytes
    old, again, new = (master_key(tenant_id, version) for version in (1, 1, 2))
    [wrapped] = old.wrap([(key_id, bytes(32))])
    assert again.unwrap(key_id, wrapped) == bytes(32)
    with pytest.raises(CannotOpenError):
        new.unwrap(key_id, wrapped)


def test_a_password_reaches_pgbench_unharmed_and_not_on_its_command_line() -> None:
    found = libpq("postgresql://postgres:a%2Fb%40c@/bench?host=/tmp/some%20where")
    assert found["PGPASSWORD"] == "a/b@c"
    assert found["PGHOST"] == "/tmp/some where"
    assert found["PGUSER"] == "postgres"
    assert found["PGDATABASE"] == "bench"


def test_no_setting_or_credential_of_ours_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COFFER_DATABASE_URL", "postgresql://elsewhere/")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert not [name for name in environment() if name.startswith(("COFFER_", "AWS_"))]


def test_every_create_has_a_name_of_its_own_and_a_true_length() -> None:
    made = requests("127.0.0.1:1", "tk", "p", "v" * 256)
    names = set()
    for _ in range(12):
        head, _, body = next(made).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        names.add(json.loads(body)["name"])
    assert len(names) == 12


def test_the_value_has_the_length_that_the_plan_says() -> None:
    assert len(FULL.value) == FULL.value_bytes
    assert FULL.value == QUICK.value


def test_the_command_line_overrides_one_thing_at_a_time() -> None:
    plan = make_plan(quick=True, runs=3, keys=None, seconds=None)
    assert (plan.runs, plan.keys, plan.seconds) == (3, QUICK.keys, QUICK.seconds)


def test_only_calls_that_were_made_are_told() -> None:
    assert made_since({"Decrypt": 2, "Encrypt": 1}, {"Decrypt": 5, "Encrypt": 1, "X": 1}) == {
        "Decrypt": 3,
        "X": 1,
    }


def test_processor_time_of_nothing_done_is_no_division_by_zero() -> None:
    assert cpu_ms_each({"kms": 1.0}, {"kms": 1.5}, 0) == {"kms": 500.0}


@pytest.mark.parametrize(
    ("file", "function", "expected"),
    [
        ("/x/lib/python3.11/site-packages/psycopg/_cursor.py", "execute", "psycopg"),
        ("/repo/services/secrets/store/creating.py", "run", "services/secrets"),
        ("/repo/protos/gen/coffer/secrets/v1/secrets_pb2.py", "f", "protos/gen/coffer"),
        ("/usr/lib/python3.11/asyncio/tasks.py", "wait", "python: asyncio"),
        ("~", "<method 'SerializeToString' of 'google._upb._message.Message'>", "protobuf"),
        ("~", "<built-in method builtins.len>", "python: built in"),
    ],
)
def test_a_function_belongs_to_its_package(file: str, function: str, expected: str) -> None:
    assert package(file, function) == expected
    assert own_times({(file, 1, function): (1, 1, 0.25, 0.5, {})}) == {expected: 0.25}


def test_a_million_keys_are_measured_beside_fewer_and_a_quick_run_stays_quick() -> None:
    assert sizes(1_000_000) == [10_000, 100_000, 1_000_000]
    assert sizes(QUICK.keys) == [QUICK.keys]


def test_fairness_is_one_for_equals_and_a_tenth_for_one_who_gets_all_of_ten() -> None:
    assert fairness([2.0] * 10) == pytest.approx(1)
    assert fairness([1.0, *[1e9] * 9]) == pytest.approx(0.1)
