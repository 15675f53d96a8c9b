"""What a call meets besides its answer, the same for vaults, login and managed identity."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from devcloud.azure.errors import SERVER_ERROR, TOO_MANY
from devcloud.faults import FaultKind
from devcloud.http import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcloud.faults import Faults

GARBAGE = b"<html><body>502 Bad Gateway"
RETRY_AFTER_SECONDS = 1
_REDIRECT = 307


class Refusal(Exception):  # noqa: N818 - an answer on the wire, not an error of ours
    """The weather's own answer, in place of the operation's. `outcome` is for the ledger."""

    def __init__(self, outcome: str, answer: HttpAnswer) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.answer = answer


def meet(faults: Faults, operation: str, resource: str | None) -> frozenset[FaultKind]:
    """Wait out the latency, then say what befalls the answer (GARBAGE, CORRUPT).

    Raises Refusal for the rest and ConnectionDropped.
    """
    hit = faults.take_rules(operation, resource)
    for fault in hit:
        if fault.kind is FaultKind.REDIRECT:
            headers = {"Location": fault.location or ""}
            raise Refusal("Redirect", HttpAnswer(_REDIRECT, b"", headers))
    kinds = frozenset(fault.kind for fault in hit)
    if FaultKind.THROTTLE in kinds:
        message = (
            "Request was not processed because too many requests were received. "
            "Reason: VaultRequestTypeLimitReached"
        )
        raise Refusal("Throttled", _failure(TOO_MANY, "Throttled", message))
    if FaultKind.INTERNAL in kinds:
        message = "An internal server error has occurred. Please retry the request."
        raise Refusal("InternalError", _failure(SERVER_ERROR, "InternalError", message))
    return kinds


def json_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """An answer as Azure's services send them."""
    fixed = {
        "Content-Type": "application/json; charset=utf-8",
        "x-ms-request-id": str(uuid.uuid4()),
    }
    return HttpAnswer(status, json.dumps(body).encode(), {**fixed, **(headers or {})})


def _failure(status: int, code: str, message: str) -> HttpAnswer:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == TOO_MANY else {}
    return json_answer(status, {"error": {"code": code, "message": message}}, headers)
