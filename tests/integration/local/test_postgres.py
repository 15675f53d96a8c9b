"""The database of a local stack: what survives, what is refused, what is left behind."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest

from cli.local import binaries
from cli.local.account import Account, database_account
from cli.local.errors import NotPassableError
from cli.local.postgres import Postgres
from cli.local.records import ProcessRecords
from cli.local.scratch import ScratchPostgres, scratch_postgres
from cli.local.sockets import SocketFolder
from cli.local.supervisor import Supervisor
from tests.fixtures.eventually import eventually

PASSWORD = "a pass/word@with:marks"
NOBODY = Account("nobody", 65534, 65534)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to an account")


def ignore(event: object) -> None:
    """Nobody listens."""


def test_committed_rows_survive_a_killed_server() -> None:
    with scratch_postgres() as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("create table kept (n int)")
            connection.execute("insert into kept values (1)")
        killed = server.pid()
        os.kill(killed, signal.SIGKILL)
        server.wait_ready(other_than=killed)
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("select n from kept").fetchall() == [(1,)]


def test_nothing_listens_on_tcp_and_a_password_is_asked_for() -> None:
    with scratch_postgres() as server:
        assert psutil.Process(server.pid()).net_connections("inet") == []
        wrong = server.dsn.replace("postgres:", "postgres:x", 1).replace(
            "//postgres:x", "//postgres:x"
        )
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def answers(postgres: Postgres) -> bool:
    try:
        with psycopg.connect(postgres.dsn()) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def test_a_server_left_by_a_killed_supervisor_is_ended(folder: Path) -> None:
    postgres = Postgres(folder / "pg", PASSWORD, durable=False)
    postgres.prepare()
    (folder / "run").mkdir()
    first = Supervisor(ProcessRecords(folder / "run"), ignore)
    second = Supervisor(ProcessRecords(folder / "run"), ignore)
    try:
        first.start([postgres.spec(folder / "log")])
        orphan = first.pid("postgres")
        # A start by somebody who has no record of it, only the cluster.
        second.start([postgres.spec(folder / "log")])
        assert not psutil.pid_exists(orphan) or second.pid("postgres") != orphan
        # The first supervisor is alive here and may mend what the second ended, once more.
        eventually(lambda: answers(postgres), "the server answers")
    finally:
        first.stop()
        second.stop()


def test_a_broken_off_initdb_is_no_cluster(folder: Path) -> None:
    (folder / "pg" / "init-broken" / "data").mkdir(parents=True)
    (folder / "pg" / "init-broken" / "data" / "PG_VERSION").write_text("18\n")
    postgres = Postgres(folder / "pg", PASSWORD, durable=False)
    assert not Postgres.exists_in(folder / "pg")
    postgres.prepare()
    assert Postgres.exists_in(folder / "pg")
    assert [path.name for path in (folder / "pg").glob("init-*")] == []


def test_a_stale_pid_file_with_a_living_strangers_number_does_no_harm(folder: Path) -> None:
    server = ScratchPostgres(folder)
    try:
        server.start()
        server._supervisor.stop()
        (folder / "pg" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n/x\n1\n5432\n")
        server._supervisor = Supervisor(ProcessRecords(folder / "run"), ignore)
        server.start()
        assert psutil.pid_exists(os.getpid())
    finally:
        server.stop()


@as_root
def test_a_parent_that_cannot_be_passed_is_named_and_stays_as_it_is(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(NotPassableError) as caught:
        Postgres(closed / "data" / "pg", PASSWORD, durable=False).prepare()
    assert caught.value.culprit == closed
    assert str(closed) in str(caught.value)
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_the_cluster_belongs_to_an_account_that_is_not_root(folder: Path) -> None:
    postgres = Postgres(folder / "pg", PASSWORD, durable=False)
    postgres.prepare()
    found = postgres.cluster.stat()
    assert found.st_uid != 0
    assert found.st_mode & 0o777 == 0o700
    account = database_account(postgres.cluster)
    assert account is not None
    assert account.uid == found.st_uid


def test_a_deep_folder_gets_a_short_socket_that_is_gone_afterwards(folder: Path) -> None:
    deep = folder / ("d" * 120)
    postgres = Postgres(deep, PASSWORD, durable=False)
    postgres.prepare()
    (folder / "run").mkdir()
    socket = SocketFolder(deep).path
    assert len(str(socket)) < 60
    supervisor = Supervisor(ProcessRecords(folder / "run"), ignore)
    try:
        supervisor.start([postgres.spec(folder / "log")])
        with psycopg.connect(postgres.dsn()) as connection:
            connection.execute("select 1")
    finally:
        supervisor.stop()
        postgres.forget_socket()
    assert not socket.exists()


def test_unreadable_binaries_are_copied_once_and_repaired(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = folder / "closed"
    server = wheel / binaries.INSTALLATION
    for part, name in (("bin", "postgres"), ("lib", "l.so"), ("share/postgresql", "postgres.bki")):
        (server / part).mkdir(parents=True)
        (server / part / name).write_text(name)
    (server / "bin" / "postgres").chmod(0o700)
    wheel.chmod(0o700)
    monkeypatch.setattr(binaries, "wheel_location", lambda: wheel)
    copy = binaries.readable_installation(NOBODY, folder)
    assert copy != server
    assert (copy / "bin" / "postgres").stat().st_mode & 0o777 == 0o755
    (copy / "lib" / "l.so").unlink()
    assert binaries.readable_installation(NOBODY, folder) == copy
    assert (copy / "lib" / "l.so").read_text() == "l.so"
    assert len([path for path in folder.iterdir() if path != wheel]) == 1


def test_a_copy_of_the_binaries_finds_the_libraries_it_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = folder / "closed"
    wheel.mkdir()
    for part in Path(binaries.wheel_location()).glob(f"{binaries.PACKAGE}*"):
        (wheel / part.name).symlink_to(part)
    wheel.chmod(0o700)
    monkeypatch.setattr(binaries, "wheel_location", lambda: wheel)
    copy = binaries.readable_installation(NOBODY, folder)
    assert folder in copy.parents
    for program in ("initdb", "postgres"):
        subprocess.run([copy / "bin" / program, "--version"], check=True, env={})
