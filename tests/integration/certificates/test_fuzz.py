"""Whatever is sent, of any type: material that keeps its promises or a refusal that tells nothing, and soon.

What must hold is in tests/fuzz/oracle.py, what is tried in tests/fuzz/mutation.py.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import encryption, mutation, oracle, seeds
from tests.fuzz.case import TYPES, Case

if TYPE_CHECKING:
    from random import Random

POOL: Final = [*seeds.fresh(), *seeds.corpus()]
BOUNDED: Final = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
FUZZ_SECONDS: Final = int(os.environ.get("FUZZ_SECONDS", "90"))
STATISTICS: Final = re.compile(r"stat::(\w+): +(\d+)|cov: (\d+)")


@pytest.mark.parametrize(
    ("message", "case", "repeated"),
    [
        ("The passphrase is hunter2-secret.", Case("pem", "x", None, "hunter2-secret"), True),
        ("It begins with open sesame.", Case("pem", "b3BlbiBzZXNhbWUh"), True),
        ("The passphrase does not open", Case("pem", "The passphrase does not open"), False),
        ("The method 1.2.840.113549.1.5.14 is", Case("pem", "1.2.840.113549.1.5.14"), False),
    ],
)
def test_the_oracle_knows_words_of_the_input(message: str, case: Case, repeated: bool) -> None:
    assert oracle.repeats(message, case) is repeated


@settings(BOUNDED, max_examples=500)
@given(st.sampled_from(POOL), st.lists(st.sampled_from(POOL), min_size=1, max_size=4), st.randoms())
def test_any_change_to_real_material(case: Case, others: list[Case], chance: Random) -> None:
    for other in others:
        case = mutation.change(case, other, chance)
    oracle.check(case)


@settings(BOUNDED, max_examples=100)
@given(
    st.sampled_from(TYPES),
    st.text(max_size=300),
    st.none() | st.text(max_size=100),
    st.none() | st.text(),
)
def test_any_text(kind: str, content: str, key: str | None, passphrase: str | None) -> None:
    oracle.check(Case(kind, content, key, passphrase))


@settings(BOUNDED, max_examples=250)
@given(
    st.sampled_from(TYPES), st.binary(max_size=200), st.sampled_from(mutation.LABELS), st.randoms()
)
def test_any_bytes_in_a_sound_coat(kind: str, data: bytes, label: str, chance: Random) -> None:
    oracle.check(Case(kind, mutation.coat(data, chance), None, "x"))
    oracle.check(Case(kind, mutation.armor(label, data), None, "x"))
    oracle.check(Case("pem", POOL[0].content, mutation.armor(label, data), "x"))


@settings(BOUNDED, max_examples=400)
@given(st.randoms(), st.sampled_from([None, "x", "\u00e9", "\U0001f511"]))
def test_any_parameters_of_an_encryption(chance: Random, passphrase: str | None) -> None:
    oracle.check(encryption.case(chance, passphrase))


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_SECONDS + 240)
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="nothing was fuzzed: no atheris here, which has wheels for Linux on x86-64 only",
)
def test_what_leads_to_new_code(capsys: pytest.CaptureFixture[str]) -> None:
    """FUZZ_SECONDS says for how long; 90 when it is not set."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.coverage_guided", "--seconds", str(FUZZ_SECONDS)],
        cwd=Path(__file__).resolve().parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=FUZZ_SECONDS + 200,
        check=False,
    )
    found = {name or "coverage": int(a or b) for name, a, b in STATISTICS.findall(done.stdout)}
    with capsys.disabled():
        print(
            f"\n{found.get('number_of_executed_units')} inputs tried,"
            f" {found.get('average_exec_per_sec')} in a second,"
            f" {found.get('coverage')} branches reached"
        )
    assert done.returncode == 0, done.stdout[-3000:]
    assert found["number_of_executed_units"] > 1000
    assert found["coverage"] > 500
