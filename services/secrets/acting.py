"""On whose behalf work for several calls at once is done, as other services and the log see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from services.common.identity import Call, enter_call

if TYPE_CHECKING:
    from collections.abc import Sequence

_ACTOR: Final = "service:secrets"

_log = structlog.get_logger(__name__)


def act_for(calls: Sequence[Call], kind: str) -> None:
    """Make what this task does carry the first call's request id; log the ids of all.

    So a line in kms' log leads to the group's line here, and that to every call. The task must be in a
    context of its own. Neither a deadline nor an address is handed on: those are one call's alone.
    """
    if not calls:
        return
    request_id = calls[0].request_id
    enter_call(Call(actor=_ACTOR, request_id=request_id))
    structlog.contextvars.bind_contextvars(request_id=request_id)
    if len(calls) > 1:
        _log.info("group", kind=kind, request_ids=[call.request_id for call in calls])
