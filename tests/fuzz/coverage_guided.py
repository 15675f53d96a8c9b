"""Look for inputs that break the certificate intake, led by the code that they reach.

    python -m tests.fuzz.coverage_guided --seconds 600

Ends by itself: with status 0 after that time, and at the first broken promise with another one, naming
the file under build/fuzz that holds the input. `--case FILE` tries such a file again. Inputs that reached
something new are kept in build/fuzz/corpus for the next run. What it prints holds nothing of an input.
The engine is atheris (libFuzzer); requirements/dev.in says where that exists.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["services.secrets.certificates"]):
    import services.secrets.certificates
from services.secrets.certificates import read_certificate
from tests.fakes.certificates import NOW
from tests.fuzz import mutation, oracle, seeds
from tests.fuzz.case import Case

FOLDER: Final = Path(__file__).resolve().parents[2] / "build" / "fuzz"
MAX_SECONDS: Final = 2 * oracle.MAX_SECONDS
"""Of processor time for one input: counting what is reached doubles the time."""
MAX_MEBIBYTES: Final = 1024
"""Of memory in all; as much as two inputs with the dearest key derivation could take."""
DEAR: Final = 0.05
"""Seconds that a seed may take, so that its many children do not use up the time."""


def main(arguments: list[str]) -> None:
    """Never returns when it fuzzes: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.coverage_guided")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--case", type=Path, help="try this one input, and nothing else")
    chosen = parser.parse_args(arguments)
    if chosen.case is not None:
        print(oracle.check(Case.from_bytes(chosen.case.read_bytes()), MAX_SECONDS))
        return
    pool = [case for case in (*seeds.fresh(), *seeds.corpus()) if _is_cheap(case)]
    print(f"{len(pool)} seeds; package {services.secrets.certificates.__name__}", flush=True)
    (FOLDER / "corpus").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as start:
        for number, case in enumerate(pool):
            (Path(start) / str(number)).write_bytes(case.to_bytes())
        _fuzz(pool, Path(start), chosen.seconds)


def _fuzz(pool: list[Case], start: Path, seconds: int) -> None:
    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        case = _case(data) or chance.choice(pool)
        for _ in range(chance.choice((1, 1, 2, 4))):
            case = mutation.change(case, chance.choice(pool), chance)
        changed = case.to_bytes()
        return changed if len(changed) <= max_size else data

    flags = [
        f"-max_total_time={seconds}",
        f"-max_len={2 * mutation.MAX_CHARACTERS}",
        f"-rss_limit_mb={MAX_MEBIBYTES}",
        "-timeout=30",
        "-print_final_stats=1",
        f"-artifact_prefix={FOLDER}/",
        str(FOLDER / "corpus"),
        str(start),
    ]
    atheris.Setup([sys.argv[0], *flags], try_one, custom_mutator=mutate)
    atheris.Fuzz()


def try_one(data: bytes) -> None:
    """Raises Finding, whose text names the place and holds nothing of the input."""
    case = _case(data)
    if case is None:
        return
    try:
        oracle.check(case, MAX_SECONDS)
    except oracle.Finding:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        raise oracle.Finding(f"{type(error).__name__} at {where}") from None


def _case(data: bytes) -> Case | None:
    try:
        return Case.from_bytes(data)
    except ValueError:
        return None


def _is_cheap(case: Case) -> bool:
    began = time.process_time()
    with contextlib.suppress(Exception):  # which is found again in a moment
        read_certificate(
            case.content, case.private_key, case.passphrase, case.certificate_type, NOW
        )
    return time.process_time() - began < DEAR


if __name__ == "__main__":
    main(sys.argv[1:])
