"""Lists, searches and creates where much is stored, beside the same in a database where nothing else is.

Two stacks stand beside each other, one loaded at a time: in the first a tenant has just the page that a list
shows; in the second one tenant has 10,000 secrets, and a thousand have 10 each. A list of nothing at all is
measured, too: how much of a list is the writing of its rows.
"""

from __future__ import annotations

import contextlib
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import load
from benchmarks.figures import Series
from benchmarks.ground import BenchTenant, running_ground
from benchmarks.sections import Section
from cli import tenancy
from cli.local.demo_tenant import SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Sample
    from benchmarks.ground import Ground
    from benchmarks.plan import Plan

CLIENTS: Final = 8
PAGE: Final = 20
"""Rows of a page, which every list and search here fills, so that each answer is of one size."""
SMALL: Final = 10
PREFIX: Final = "stock"
FILLING: Final = 16
LOOKS: Final = {
    "list": "/v1/secrets?per_page=20",
    "newest": "/v1/secrets?per_page=20&sort=created_at&order=desc",
    "search": "/v1/secrets?per_page=20&search=tock-",
    "cursor": "/v1/secrets?limit=20&cursor=",
}
KINDS: Final = {
    "list": "lists by name",
    "newest": "lists, newest first",
    "search": "searches",
    "cursor": "lists by cursor",
    "create": "creates",
}
"""A small tenant's 10 secrets fill no page: its lists and searches are compared with those of 10 alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant and where it is."""

    ground: Ground
    tenant: BenchTenant


def measure(plan: Plan, tell: Callable[[str], None]) -> Section:
    """Everything in mixed order, each with the same of the empty database in the same repetition."""
    sizes = {"big": f"one tenant with {plan.big:,}", "small": f"one of {plan.tenants:,} tenants"}
    series = {
        (kind, size): Series(f"{what}: {text}", CLIENTS)
        for kind, what in KINDS.items()
        for size, text in sizes.items()
    }
    nothing = Series("lists of nothing", CLIENTS)
    section = Section("sizes", [*series.values(), nothing])
    with contextlib.ExitStack() as standing:
        quiet, full = (standing.enter_context(running_ground()) for _ in range(2))
        places = {
            ("big", "empty"): _stocked(quiet, plan, "page", PAGE),
            ("small", "empty"): _stocked(quiet, plan, "ten", SMALL),
        }
        bare = Place(quiet, quiet.tenant("bench-bare"))
        tell(f"sizes: storing {plan.big:,} secrets of one tenant")
        places["big", "full"] = _stocked(full, plan, "big", plan.big)
        tell(f"sizes: storing {SMALL} secrets of each of {plan.tenants:,} tenants")
        places["small", "full"] = _crowd(full, plan)
        for run in range(1, plan.runs + 1):
            tell(f"sizes: run {run} of {plan.runs}")
            for kind, size in random.sample([*series], len(series)):
                rates = {
                    where: _sample(
                        places[size, where], plan, kind, alone=(size, where) != ("big", "full")
                    )
                    for where in random.sample(("empty", "full"), 2)
                }
                series[kind, size].add(rates["full"], empty=rates["empty"].rate)
            listed = _sample(bare, plan, "list", alone=True)
            nothing.add(listed, empty=listed.rate)
    return section


def _stocked(ground: Ground, plan: Plan, slug: str, count: int) -> Place:
    place = Place(ground, ground.tenant(f"bench-{slug}"))
    load.fill(plan, count, _order(place) | {"prefix": PREFIX})
    return place


def _crowd(ground: Ground, plan: Plan) -> Place:
    """The small tenants; the one that is asked has a key in the cloud, as those it is compared with."""
    asked = _stocked(ground, plan, "asked", SMALL)
    with ThreadPoolExecutor(FILLING) as pool:
        list(pool.map(lambda number: _small(ground, plan, number), range(plan.tenants - 1)))
    return asked


def _small(ground: Ground, plan: Plan, number: int) -> None:
    dsn, slug = ground.stack.admin_dsn, f"bench-small-{number}"
    tenant_id = tenancy.create_tenant(dsn, slug, slug, "enterprise")
    tenant = BenchTenant(tenant_id, "", tenancy.create_api_key(dsn, tenant_id, "benchmark", SCOPES))
    for one in range(SMALL):
        ground.create(tenant, f"{PREFIX}-{one}", plan.value)


def _sample(place: Place, plan: Plan, kind: str, *, alone: bool) -> Sample:
    if kind != "create":
        order = _order(place) | {"path": LOOKS[kind]}
        return load.http_sample(plan, CLIENTS, order, place.ground.families)[0]
    # What is made stays, so a tenant that is to stay small is another one each time.
    prefix = uuid.uuid4().hex
    if alone:
        place = Place(place.ground, place.ground.tenant(f"bench-{prefix}"))
    order = _order(place) | {"prefix": f"made-{prefix}"}
    return load.http_sample(plan, CLIENTS, order, place.ground.families)[0]


def _order(place: Place) -> dict[str, str]:
    return {
        "base_url": place.ground.stack.credentials.base_url,
        "api_key": place.tenant.api_key,
    }
