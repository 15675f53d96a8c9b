"""Compile protos/coffer/**/*.proto into protos/gen, the committed Python of the contract.

    python tools/protos.py                 write protos/gen
    python tools/protos.py --check         exit 1, naming the files, when protos/gen is not what the
                                           .proto files say; changes nothing
    python tools/protos.py --image FILE    write the descriptor set (imports and comments included)
                                           that `buf lint` and the OpenAPI generator read

The proto import path is the Python import path: protos/coffer/kms/v1/kms.proto becomes
coffer.kms.v1.kms_pb2, so nothing has to be rewritten. google/api/*.proto comes from the wheel of
googleapis-common-protos; no schema registry and no network is used.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"
GENERATED = SOURCES / "gen"
PLUGINS = ("mypy", "mypy_grpc")


class CompilationFailedError(Exception):
    """protoc refused a file; it has already printed which and why."""


def sources() -> list[Path]:
    """Every .proto file of ours, in a fixed order."""
    return sorted((SOURCES / "coffer").rglob("*.proto"))


def run_protoc(*options: str) -> None:
    """Run protoc in this process over all of our files. Raises CompilationFailedError."""
    files = [path.relative_to(SOURCES).as_posix() for path in sources()]
    if not files:
        raise CompilationFailedError(f"no .proto file below {SOURCES / 'coffer'}")
    wheels = sysconfig.get_paths()["purelib"]
    # protoc's own google/protobuf/*.proto live inside the grpc_tools wheel.
    bundled = Path(protoc.__file__).parent / "_proto"
    includes = [f"-I{path}" for path in (SOURCES, wheels, bundled)]
    if protoc.main(["protoc", *includes, *options, *files]) != 0:
        raise CompilationFailedError("protoc failed")


def compile_into(folder: Path) -> None:
    """Write messages, stubs and their types below `folder`."""
    scripts = Path(sysconfig.get_paths()["scripts"])
    run_protoc(
        *(f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in PLUGINS),
        f"--python_out={folder}",
        f"--grpc_python_out={folder}",
        f"--mypy_out=quiet:{folder}",
        f"--mypy_grpc_out=quiet:{folder}",
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Path below `folder` -> bytes, for every generated file there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".py", ".pyi"}
    }


def differences(wanted: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """One line per file that is missing, stale or not generated from anything."""
    lines = [f"missing: {name}" for name in wanted.keys() - found.keys()]
    lines += [f"left over: {name}" for name in found.keys() - wanted.keys()]
    lines += [
        f"differs: {name}" for name in wanted.keys() & found.keys() if wanted[name] != found[name]
    ]
    return sorted(lines)


def update(wanted: dict[str, bytes], found: dict[str, bytes]) -> None:
    """Make protos/gen hold exactly `wanted`; a file that is right already is not touched."""
    for name in found.keys() - wanted.keys():
        (GENERATED / name).unlink()
    for name, data in wanted.items():
        if found.get(name) != data:
            target = GENERATED / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Renamed into place: somebody may be importing from here at this moment.
            fresh = target.with_name(target.name + ".new")
            fresh.write_bytes(data)
            fresh.replace(target)


def write_image(target: Path) -> None:
    """Write the descriptor set of all files, imports and comments included."""
    target.parent.mkdir(parents=True, exist_ok=True)
    run_protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={target}")


def main() -> int:
    """Do what the command line says; the exit status is 0 only if it succeeded."""
    parser = argparse.ArgumentParser(description="Compile the contract.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="compare only, change nothing")
    choice.add_argument("--image", type=Path, metavar="FILE", help="write a descriptor set")
    options = parser.parse_args()
    try:
        if options.image is not None:
            write_image(options.image)
            return 0
        with tempfile.TemporaryDirectory(prefix="coffer-protos-") as scratch:
            compile_into(Path(scratch))
            wanted, found = contents(Path(scratch)), contents(GENERATED)
    except CompilationFailedError as refusal:
        print(f"protos: {refusal}", file=sys.stderr)
        return 1
    stale = differences(wanted, found)
    if not options.check:
        update(wanted, found)
        print(f"protos: {len(wanted)} files, {len(stale)} changed")
        return 0
    for line in stale:
        print(f"protos: {line}", file=sys.stderr)
    if stale:
        print("protos: run `make protos` and commit the result", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
