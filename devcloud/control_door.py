"""The control side of a stand-in: `POST /_devcloud/COMMAND` with a JSON object, JSON back.

Guarded by `Authorization: Bearer CONTROL_TOKEN`. Each cloud brings its commands; those for faults
and counters are here. Clients use `devcloud.control_client`; the wire form is no public contract.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from devcloud.faults import Fault, FaultKind
from devcloud.http import HttpAnswer

if TYPE_CHECKING:
    from devcloud.faults import Faults
    from devcloud.http import HttpRequest
    from devcloud.ledger import Ledger

PREFIX = "/_devcloud/"
Members = dict[str, Any]
Command = Callable[[Members], Members]


class ControlDoor:
    """Runs commands for whoever has the token.

    A command raises LookupError for a thing that is not there, and KeyError (a missing member),
    TypeError or ValueError for nonsense.
    """

    def __init__(
        self, token: str, faults: Faults, ledger: Ledger, commands: Mapping[str, Command]
    ) -> None:
        self._token = token
        self._faults = faults
        self._ledger = ledger
        self._commands: dict[str, Command] = {
            **commands,
            "add-fault": self._add_fault,
            "clear-faults": self._clear_faults,
            "faults": self._list_faults,
            "calls": self._calls,
            "tallies": self._tallies,
            "reset-ledger": self._reset_ledger,
        }

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request: 401 without the token, 404 for no such command or thing, 400 for nonsense."""
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return _json_answer(401, {"error": "the control token is missing or wrong"})
        command = self._commands.get(request.target.removeprefix(PREFIX))
        if command is None or request.method != "POST":
            return _json_answer(404, {"error": "no such command"})
        try:
            return _json_answer(200, command(json.loads(request.body or b"{}")))
        except (KeyError, TypeError, ValueError) as error:
            return _json_answer(400, {"error": f"bad request: {error!r}"})
        except LookupError as error:
            return _json_answer(404, {"error": str(error)})

    def _add_fault(self, body: Members) -> Members:
        self._faults.add(Fault(**{**body, "kind": FaultKind(body["kind"])}))
        return {}

    def _clear_faults(self, body: Members) -> Members:
        self._faults.clear(body["resource"])
        return {}

    def _list_faults(self, _: Members) -> Members:
        return {"faults": [asdict(fault) for fault in self._faults.in_force()]}

    def _calls(self, _: Members) -> Members:
        return {"calls": [asdict(call) for call in self._ledger.calls()]}

    def _tallies(self, _: Members) -> Members:
        return {"tallies": [asdict(tally) for tally in self._ledger.tallies()]}

    def _reset_ledger(self, _: Members) -> Members:
        self._ledger.reset()
        return {}


def _json_answer(status: int, body: Members) -> HttpAnswer:
    return HttpAnswer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
