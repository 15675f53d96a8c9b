"""What breaks when committed generated code is not what the .proto files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import protos

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_is_missing_left_over_or_stale_is_named() -> None:
    wanted = {"same.py": b"1", "stale.py": b"2", "new.py": b"3"}
    found = {"same.py": b"1", "stale.py": b"old", "gone.py": b"4"}
    assert protos.differences(wanted, found) == [
        "differs: stale.py",
        "left over: gone.py",
        "missing: new.py",
    ]


def test_nothing_is_reported_when_nothing_differs() -> None:
    assert protos.differences({"a.py": b"1"}, {"a.py": b"1"}) == []


def test_an_update_leaves_exactly_what_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protos, "GENERATED", tmp_path)
    (tmp_path / "gone_pb2.py").write_bytes(b"x")
    (tmp_path / "stale_pb2.pyi").write_bytes(b"x")
    wanted = {"stale_pb2.pyi": b"y", "coffer/kms/v1/kms_pb2.py": b"z"}
    protos.update(wanted, protos.contents(tmp_path))
    assert protos.contents(tmp_path) == wanted
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        tmp_path / name for name in wanted
    }


def test_every_proto_has_its_generated_modules() -> None:
    found = protos.contents(protos.GENERATED)
    for source in protos.sources():
        stem = source.relative_to(protos.SOURCES).with_suffix("").as_posix()
        assert {f"{stem}_pb2.py", f"{stem}_pb2.pyi", f"{stem}_pb2_grpc.py"} <= found.keys()
