"""KMS on the wire: JSON 1.1, `X-Amz-Target: TrentService.<Operation>`, errors with status 400.

Source: AWS KMS API Reference, "Common Errors" and each operation's errors.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

from devcloud.aws.access import Access, KmsCall
from devcloud.aws.errors import BAD_REQUEST, SERVER_ERROR, AwsError
from devcloud.aws.kms_data import DataOperations
from devcloud.aws.kms_keys import KeyOperations
from devcloud.aws.params import Params
from devcloud.aws.signature import AuthError, AuthProblem
from devcloud.faults import FaultKind
from devcloud.http import HttpAnswer
from devcloud.ledger import OK

if TYPE_CHECKING:
    from devcloud.aws.cloud import Cloud
    from devcloud.aws.sessions import Sessions
    from devcloud.faults import Faults
    from devcloud.http import HttpRequest
    from devcloud.ledger import Ledger, OpenCall

TARGET_PREFIX = "TrentService."
GARBAGE = b"<html><body>502 Bad Gateway"
_CONTENT_TYPE = "application/x-amz-json-1.1"
_AUTH_CODES = {
    AuthProblem.MISSING: "MissingAuthenticationTokenException",
    AuthProblem.INCOMPLETE: "IncompleteSignatureException",
    AuthProblem.UNKNOWN: "UnrecognizedClientException",
    AuthProblem.EXPIRED: "ExpiredTokenException",
    AuthProblem.SIGNATURE: "InvalidSignatureException",
}


class KmsEndpoint:
    """Answers KMS requests: authenticate, let the weather pass, do the operation, record it."""

    def __init__(self, cloud: Cloud, sessions: Sessions, faults: Faults, ledger: Ledger) -> None:
        self._sessions = sessions
        self._faults = faults
        self._ledger = ledger
        self._access = Access(cloud)
        self._operations = {
            **DataOperations(self._access).table(),
            **KeyOperations(cloud, self._access).table(),
        }

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where a fault says so."""
        name = request.headers.get("x-amz-target", "").removeprefix(TARGET_PREFIX)
        # An invented operation name must not grow the counters.
        operation = name if name in self._operations else "Unknown"
        with self._ledger.call(operation) as record:
            try:
                body = self._authenticated(request, operation, record)
            except AuthError as error:
                return _refusal(record, AwsError(_AUTH_CODES[error.problem], error.message))
            except AwsError as error:
                return _refusal(record, error)
            record.outcome = OK
            return _json_answer(200, body)

    def _authenticated(self, request: HttpRequest, operation: str, record: OpenCall) -> bytes:
        caller, region = self._sessions.authenticate(request, "kms")
        record.caller = caller.arn
        if operation not in self._operations:
            raise AwsError("UnknownOperationException", "devcloud does not serve this operation")
        call = KmsCall(operation, caller, region, Params.parse(request.body))
        record.context = call.params.context()
        with self._ledger.occupying(record, self._access.meant(call)):
            weather = self._faults.take(operation, record.resource)
            if FaultKind.THROTTLE in weather:
                raise AwsError("ThrottlingException", "Rate exceeded")
            if FaultKind.INTERNAL in weather:
                raise AwsError("KMSInternalException", "Internal failure", SERVER_ERROR)
            members = self._operations[operation](call)
        if FaultKind.CORRUPT in weather and "Plaintext" in members:
            members = {**members, "Plaintext": _other_bytes(members["Plaintext"])}
        return GARBAGE if FaultKind.GARBAGE in weather else json.dumps(members).encode()


def _refusal(record: OpenCall, error: AwsError) -> HttpAnswer:
    record.outcome = error.code
    body = json.dumps({"__type": error.code, "message": error.message}).encode()
    return _json_answer(error.status or BAD_REQUEST, body)


def _json_answer(status: int, body: bytes) -> HttpAnswer:
    headers = {"Content-Type": _CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}
    return HttpAnswer(status, body, headers)


def _other_bytes(encoded: Any) -> str:
    return base64.b64encode(bytes(b ^ 0x5A for b in base64.b64decode(encoded))).decode()
