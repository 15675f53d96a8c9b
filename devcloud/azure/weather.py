"""What a call meets besides its answer, the same for vaults, login and managed identity."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from devcloud.faults import FaultKind
from devcloud.http import HttpAnswer
from devcloud.ledger import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devcloud.faults import Faults
    from devcloud.ledger import OpenCall

    Done = tuple[Mapping[str, Any], frozenset[FaultKind]]

_GARBAGE = b"<html><body>502 Bad Gateway"
RETRY_AFTER = {"Retry-After": "1"}
"""Header of a refusal for too many requests, seconds."""
_REDIRECT = 307


class Refusal(Exception):  # noqa: N818 - an answer on the wire, not an error of ours
    """An answer in place of the operation's. `outcome` is for the ledger."""

    def __init__(self, outcome: str, answer: HttpAnswer) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.answer = answer


def answered(
    record: OpenCall, work: Callable[[], Done], headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """What `work` gives, or the refusal it raises; the record has which.

    `work` says with the body what the call met: for garbage, the body is not sent.
    """
    try:
        body, kinds = work()
    except Refusal as refusal:
        record.outcome = refusal.outcome
        return refusal.answer
    record.outcome = OK
    if FaultKind.GARBAGE in kinds:
        return HttpAnswer(200, _GARBAGE, {"Content-Type": "text/html"})
    return json_answer(200, body, headers)


def meet(faults: Faults, operation: str, resource: str | None) -> frozenset[FaultKind]:
    """Wait out the latency, then say what befalls the call, for the endpoint to do in its own words.

    Raises Refusal for a redirect and ConnectionDropped.
    """
    hit = faults.take_rules(operation, resource)
    for fault in hit:
        if fault.kind is FaultKind.REDIRECT:
            headers = {"Location": fault.location or ""}
            raise Refusal("Redirect", HttpAnswer(_REDIRECT, b"", headers))
    return frozenset(fault.kind for fault in hit)


def json_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """An answer as Azure's services send them."""
    fixed = {
        "Content-Type": "application/json; charset=utf-8",
        "x-ms-request-id": str(uuid.uuid4()),
    }
    return HttpAnswer(status, json.dumps(body).encode(), {**fixed, **(headers or {})})
