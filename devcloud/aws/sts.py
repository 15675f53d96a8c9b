"""STS on the wire: form-encoded requests, XML answers. AssumeRole and GetCallerIdentity.

Source: AWS STS API Reference. A parameter that would narrow a session (Policy, PolicyArns, Tags,
MFA) is refused, because ignoring it would hand out more than was asked for.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from devcloud.aws.arn import iam_arn, parse_arn
from devcloud.aws.errors import FORBIDDEN, SERVER_ERROR, AwsError
from devcloud.aws.kms import GARBAGE
from devcloud.aws.sessions import assumed_role_arn
from devcloud.aws.signature import AuthError, AuthProblem
from devcloud.faults import FaultKind
from devcloud.http import HttpAnswer
from devcloud.ledger import OK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcloud.aws.cloud import Cloud
    from devcloud.aws.model import Caller, Role
    from devcloud.aws.sessions import Sessions
    from devcloud.faults import Faults
    from devcloud.http import HttpRequest
    from devcloud.ledger import Ledger, OpenCall

MIN_SESSION_SECONDS = 900
CHAINED_MAX_SECONDS = 3600
_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_SERVED = {"Action", "Version", "RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"}
_OPERATIONS = ("AssumeRole", "GetCallerIdentity")
_AUTH_REFUSALS = {
    AuthProblem.MISSING: ("MissingAuthenticationToken", FORBIDDEN),
    AuthProblem.INCOMPLETE: ("IncompleteSignature", 400),
    AuthProblem.UNKNOWN: ("InvalidClientTokenId", FORBIDDEN),
    AuthProblem.EXPIRED: ("ExpiredToken", FORBIDDEN),
    AuthProblem.SIGNATURE: ("SignatureDoesNotMatch", FORBIDDEN),
}


class StsEndpoint:
    """Answers STS requests."""

    def __init__(self, cloud: Cloud, sessions: Sessions, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._sessions = sessions
        self._faults = faults
        self._ledger = ledger

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request. Raises ConnectionDropped where a fault says so."""
        form = {name: values[0] for name, values in _form(request).items()}
        action = form.get("Action", "")
        operation = action if action in _OPERATIONS else "Unknown"
        with self._ledger.call(operation) as record:
            try:
                body = self._authenticated(request, operation, form, record)
            except AuthError as error:
                code, status = _AUTH_REFUSALS[error.problem]
                return _refusal(record, AwsError(code, error.message, status))
            except AwsError as error:
                return _refusal(record, error)
            record.outcome = OK
            return _xml_answer(200, body)

    def _authenticated(
        self, request: HttpRequest, operation: str, form: Mapping[str, str], record: OpenCall
    ) -> bytes:
        caller, _ = self._sessions.authenticate(request, "sts")
        record.caller = caller.arn
        if operation not in _OPERATIONS:
            raise AwsError("InvalidAction", "devcloud does not serve this action")
        with self._ledger.occupying(record, form.get("RoleArn")):
            weather = self._faults.take(operation, record.resource)
            if FaultKind.THROTTLE in weather:
                raise AwsError("Throttling", "Rate exceeded")
            if FaultKind.INTERNAL in weather:
                raise AwsError("InternalFailure", "Internal failure", SERVER_ERROR)
            if operation == "AssumeRole":
                result = self._assume_role(caller, form)
            else:
                result = _caller_identity(caller)
        if FaultKind.GARBAGE in weather:
            return GARBAGE
        return _envelope(operation, result)

    def _assume_role(self, caller: Caller, form: Mapping[str, str]) -> str:
        surplus = sorted(form.keys() - _SERVED)
        if surplus:
            raise _validation(f"devcloud does not serve the parameter {surplus[0]}")
        name = form.get("RoleSessionName", "")
        if not _SESSION_NAME.fullmatch(name):
            raise _validation("roleSessionName must match [\\w+=,.@-]{2,64}")
        role = self._trusting(caller, form.get("RoleArn", ""), form.get("ExternalId"))
        seconds = _duration(caller, role, form.get("DurationSeconds"))
        session, token = self._sessions.issue(role, name, seconds)
        expires = datetime.fromtimestamp(session.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            "<AssumedRoleUser>"
            + _element("AssumedRoleId", f"{role.role_id}:{name}")
            + _element("Arn", assumed_role_arn(role, name))
            + "</AssumedRoleUser><Credentials>"
            + _element("AccessKeyId", session.access_key_id)
            + _element("SecretAccessKey", session.secret_access_key)
            + _element("SessionToken", token)
            + _element("Expiration", expires)
            + "</Credentials>"
        )

    def _trusting(self, caller: Caller, role_arn: str, external_id: str | None) -> Role:
        """The role, if its trust policy lets this caller in. One refusal for every cause."""
        role = self._cloud.role(role_arn)
        if (
            role is None
            or not _trusts(role, caller)
            or (role.external_id is not None and role.external_id != external_id)
        ):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{role_arn}",
                FORBIDDEN,
            )
        return role


def _trusts(role: Role, caller: Caller) -> bool:
    # Naming an account's root lets in whoever that account lets act.
    partition = parse_arn(caller.principal).partition
    root = iam_arn(partition, caller.account, "root")
    return caller.principal in role.trusted or root in role.trusted


def _duration(caller: Caller, role: Role, text: str | None) -> int:
    limit = role.max_session_seconds
    if caller.is_session:
        limit = min(limit, CHAINED_MAX_SECONDS)
    if text is None:
        return min(CHAINED_MAX_SECONDS, limit)
    if not (text.isascii() and text.isdigit()):
        raise _validation("durationSeconds is not an integer")
    if int(text) < MIN_SESSION_SECONDS:
        raise _validation(
            f"Value '{text}' at 'durationSeconds' failed to satisfy constraint: Member must have "
            f"value greater than or equal to {MIN_SESSION_SECONDS}"
        )
    if int(text) > limit:
        raise _validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return int(text)


def _caller_identity(caller: Caller) -> str:
    return (
        _element("Arn", caller.arn)
        + _element("UserId", caller.user_id)
        + _element("Account", caller.account)
    )


def _form(request: HttpRequest) -> dict[str, list[str]]:
    # Bytes that are not UTF-8 become replacement characters: they match no known parameter.
    return parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)


def _validation(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _envelope(operation: str, result: str) -> bytes:
    return (
        f'<{operation}Response xmlns="{_NAMESPACE}"><{operation}Result>{result}'
        f"</{operation}Result><ResponseMetadata>{_element('RequestId', str(uuid.uuid4()))}"
        f"</ResponseMetadata></{operation}Response>"
    ).encode()


def _refusal(record: OpenCall, error: AwsError) -> HttpAnswer:
    record.outcome = error.code
    side = "Receiver" if error.status >= SERVER_ERROR else "Sender"
    body = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{_element("Type", side)}'
        f"{_element('Code', error.code)}{_element('Message', error.message)}</Error>"
        f"{_element('RequestId', str(uuid.uuid4()))}</ErrorResponse>"
    )
    return _xml_answer(error.status, body.encode())


def _xml_answer(status: int, body: bytes) -> HttpAnswer:
    headers = {"Content-Type": "text/xml", "x-amzn-RequestId": str(uuid.uuid4())}
    return HttpAnswer(status, body, headers)
