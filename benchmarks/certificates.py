"""Certificates: how fast they are read beside the library alone, and what storing them does to others.

The second half is a load at fixed rates through the gateway: certificates, and strings with reads, each
alone and both together, in mixed order.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from benchmarks.certificate_files import make_files
from benchmarks.children import ask
from benchmarks.figures import Sample, Series
from benchmarks.ground import running_ground
from benchmarks.load import VoidMeasurementError
from benchmarks.sections import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.certificate_files import CertificateFile
    from benchmarks.ground import Ground
    from benchmarks.plan import Plan

NAME: Final = "certificates"
MIXED: Final = "certificates beside other requests"
RATES: Final = {"certificate": 10.0, "create": 30.0, "read": 60.0}
"""Requests per second: a third of what two cores do, so that a queue is of our own making."""
LONGER: Final = 4
"""A p99 needs hundreds of requests: the samples of the mixed load are that many times as long."""
KINDS: Final = {
    "certificate": "POST /v1/secrets/certificate (PEM, PFX in turn)",
    "create": "POST /v1/secrets",
    "read": "GET /v1/secrets/{id}",
}
SITUATIONS: Final[dict[str, tuple[str, ...]]] = {
    "certificates alone": ("certificate",),
    "the others alone": ("create", "read"),
    "together": ("certificate", "create", "read"),
}
STORED: Final = ("pem, chain of 3", "pfx, 3 and a key")


def measure(plan: Plan, tell: Callable[[str], None]) -> list[Section]:
    """Both halves."""
    tell("certificates: making files")
    files = make_files()
    return [_parsing(plan, files, tell), _mixed(plan, files, tell)]


def _parsing(plan: Plan, files: Sequence[CertificateFile], tell: Callable[[str], None]) -> Section:
    """Per second of processor time of one process; a goal: `fields` at 0.77 of its own rate or more."""
    section = Section(NAME, [Series(file.name) for file in files])
    for run in range(1, plan.runs + 1):
        tell(f"certificates: reading, run {run} of {plan.runs}")
        order = {"files": [file.as_order() for file in files], "seconds": plan.seconds}
        done = ask("certificate_parse", order, seconds=2 * plan.seconds * len(files))
        for series in section.series:
            rates = dict(done[series.name])
            series.add(Sample(rates.pop("ours")), **rates)
    return section


def _mixed(plan: Plan, files: Sequence[CertificateFile], tell: Callable[[str], None]) -> Section:
    series = {
        (situation, kind): Series(f"{KINDS[kind]}, {situation}")
        for situation, kinds in SITUATIONS.items()
        for kind in kinds
    }
    section = Section(MIXED, list(series.values()))
    tell("starting the stack")
    with running_ground() as ground:
        order = _order(ground, plan, files)
        for run in range(1, plan.runs + 1):
            for situation in random.sample([*SITUATIONS], len(SITUATIONS)):
                tell(f"certificates: {situation}, run {run} of {plan.runs}")
                rates = {kind: RATES[kind] for kind in SITUATIONS[situation]}
                seconds = order["seconds"] + order["warm_up"]
                done = ask("mixed_load", {**order, "rates": rates}, seconds=seconds)
                for kind, found in done.items():
                    series[situation, kind].add(sample_of(found))
    return section


def sample_of(found: dict[str, Any]) -> Sample:
    """What a generator reports, as a sample. Raises VoidMeasurementError when a request failed."""
    if found["failures"]:
        raise VoidMeasurementError(f"failed: {found['failures']}")
    return Sample(found["rate"], found["p50_ms"], found["p99_ms"])


def _order(ground: Ground, plan: Plan, files: Sequence[CertificateFile]) -> dict[str, Any]:
    tenant = ground.tenant("bench-certificates")
    bodies = [
        {
            "certificate_type": file.certificate_type,
            "certificate_content": file.content,
            **({} if file.passphrase is None else {"passphrase": file.passphrase}),
        }
        for file in files
        if file.name in STORED
    ]
    return {
        "base_url": ground.stack.credentials.base_url,
        "api_key": tenant.api_key,
        "secret_id": ground.create(tenant, "read", plan.value),
        "value": plan.value,
        "certificates": bodies,
        "seconds": LONGER * plan.seconds,
        "warm_up": plan.warm_up,
    }
