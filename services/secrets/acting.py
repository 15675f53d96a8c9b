"""On whose behalf work for several calls at once is done, as other services see it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.identity import Call, enter_call

if TYPE_CHECKING:
    from collections.abc import Sequence

_ACTOR: Final = "service:secrets"


def act_for(calls: Sequence[Call]) -> None:
    """Make what this task does carry the first call's request id; the task needs a context of its own.

    So a line in kms' log leads to the group's line here (`ports.Observer.grouped`), and that to every
    call. Neither a deadline nor an address is handed on: those are one call's alone.
    """
    if calls:
        enter_call(Call(actor=_ACTOR, request_id=calls[0].request_id))
