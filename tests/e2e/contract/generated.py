"""Requests made from gateway/openapi.json, sent to the running stack, and what their answers must keep to."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.pages import OPENAPI_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import httpx
    from schemathesis import APIOperation, Case

DOCUMENT: dict[str, Any] = json.loads(OPENAPI_FILE.read_bytes())
VALID, INVALID = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
EVERYWHERE = {
    "cache-control", "connection", "content-length", "content-type", "date", "referrer-policy",
    "x-content-type-options",
}  # fmt: skip
"""Headers of HTTP itself, which no operation documents."""

BEYOND_A_SCHEMA: dict[str, set[str]] = {
    # Whether it belongs to the slug, the provider or the value given elsewhere.
    "RevokeKeyVersion": {"confirm"},
    # That the key is there and can be used; that region and vault are the reference's.
    "PutTenantKms": {"kms_key_ref", "config"},
    "VerifyTenantKms": {"kms_key_ref", "config"},
    # What belongs to strings and what to certificates; that the environment and the collection are there;
    # what a certificate is.
    "CreateSecret": {
        "value", "environment", "collection_id", "certificate_content", "private_key", "passphrase",
        "certificate_type", "name",
    },
    "CreateCertificate": {
        "environment", "collection_id", "certificate_content", "private_key", "passphrase",
        "certificate_type", "name",
    },
    "PutSecretValue": {
        "value", "environment", "certificate_content", "private_key", "passphrase",
        "certificate_type",
    },
    "RestoreSecret": {"base_environment"},
    "RestoreSecretVersion": {"environment"},
    "UpdateSecret": {"collection_id", "name"},
    # A page is asked for by number or by cursor, and a cursor is one that this list gave.
    "ListSecrets": {"page", "per_page", "cursor", "limit", "collection_id", "environment"},
    "ListSecretVersions": {"environment"},
    "ListAuditEvents": {"cursor"},
    # How far pages of a filtered log reach.
    "ListAuditLogs": {"page"},
    # How many events there are.
    "VerifyAuditLogs": {"from"},
    # A name of blanks alone is empty.
    "CreateCollection": {"name"},
    "UpdateCollection": {"name"},
    "CreateEnvironment": {"display_name"},
    # The default one stays it until another is.
    "UpdateEnvironment": {"display_name", "is_default"},
    # At most one of the three that say when it ends, and in time; no more than the caller has.
    "CreateApiKey": {
        "name", "expires_in_days", "expires_at", "never_expires", "scopes", "rate_limit_requests",
        "rate_limit_window_sec",
    },
    # 5 is an integer; 5.0 is one to a schema and none to us.
    "StartRewrap": {"throttle_per_second"},
    "UpdateRewrap": {"throttle_per_second"},
}  # fmt: skip
"""Members by operation that may be refused though each fits its schema: facts about other members or about
what is stored. Every other 400 to a request that fits is a rule that openapi.json keeps to itself."""


RUN = """
[generation]
with-security-parameters = false

# GET, PATCH and DELETE of /v1/secrets/certificate are those of /v1/secrets/{id}, with that for an id.
[[operations]]
include-operation-id = "CreateCertificate"
[operations.checks]
unsupported_method.enabled = false
allow_header_conformance.enabled = false
"""
"""Settings of a run of schemathesis itself."""
LEFT_OUT = (
    "--exclude-checks=positive_data_acceptance,ignored_auth",  # `Generated` and the tests judge them
    "--exclude-operation-id=RevokeApiKey",  # it would find the key in the list that all calls bring
)


def run_all(folder: Path, below: str, base_url: str, headers: Mapping[str, str]) -> str:
    """Bounds of every parameter and member, and calls that follow from answers, of all operations below a
    path; what schemathesis says in the end. Fails when it finds anything.
    """
    document, config = folder / "openapi.json", folder / "schemathesis.toml"
    document.write_text(json.dumps(_closed(DOCUMENT)), encoding="utf-8")
    config.write_text(RUN, encoding="utf-8")
    arguments = [
        sys.executable, "-m", "schemathesis.cli", f"--config-file={config}", "run", str(document),
        f"--url={base_url}", f"--include-path-regex=^{below}", "--phases=coverage,stateful",
        "--max-examples=30", "--seed=1", "--no-color", *LEFT_OUT,
    ]  # fmt: skip
    arguments += [f"--header={name}: {value}" for name, value in headers.items()]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def operations() -> dict[str, APIOperation[Any, Any, Any, Any]]:
    """Every operation by its id. Replies may hold no member that is not documented: in this copy alone,
    because clients must let new ones pass.
    """
    config = schemathesis.Config()
    default = config.projects.default
    default.generation.with_security_parameters = False  # the tests bring credentials
    rejection = default.checks.negative_data_rejection
    # If-Match with what is a number, but of no version that can be: the condition fails.
    rejection.expected_statuses = [*rejection.expected_statuses, "412"]
    schema = schemathesis.openapi.from_dict(_closed(DOCUMENT), config=config)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    made = {name: _closed(inner) for name, inner in node.items()}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


class Generated:
    """Requests to one operation."""

    def __init__(self, operation: APIOperation[Any, Any, Any, Any], client: httpx.Client) -> None:
        self.operation = operation
        self.id: str = operation.definition.raw["operationId"]
        self._client = client

    def send(
        self,
        mode: GenerationMode,
        *,
        examples: int,
        credentials: Sequence[Callable[[], dict[str, str]]],
        known: Mapping[str, str],
        judge: Callable[[httpx.Response], None] | None = None,
    ) -> None:
        """So many requests that fit the schema, or that do not; half of the former about `known` things.
        Each is sent with each of the `credentials`, which are headers made anew every time.

        Raises what schemathesis finds wrong with an answer, or what `judge` does.
        """

        def one(case: Case[Any], about_known: bool) -> None:
            if about_known and mode is VALID:
                names = known.keys() & case.path_parameters.keys()
                case.path_parameters.update({name: known[name] for name in names})
            for headers in credentials:
                answer = self._answer(case, headers())
                case.validate_response(answer, checks=CHECKS)
                self._headers_are_documented(answer)
                if mode is VALID:
                    self._refused_for_what_is_documented(answer)
                if judge is not None:
                    judge(answer)

        cases = self.operation.as_strategy(generation_mode=mode)
        run = settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # what is sent changes something: a failure may not come again
            suppress_health_check=list(HealthCheck),
        )(given(case=cases, about_known=st.booleans())(one))
        try:
            run()
        except Unsatisfiable:
            # What has no parameters, or takes any text, cannot be asked wrongly.
            assert mode is INVALID, self.id

    def _answer(self, case: Case[Any], headers: dict[str, str]) -> httpx.Response:
        sent = case.as_transport_kwargs(base_url=str(self._client.base_url), headers=headers)
        request = self._client.build_request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers=dict(sent["headers"]),
            cookies=sent.get("cookies"),
            json=sent.get("json"),
            content=sent.get("data"),
        )
        return self._client.send(request)

    def _headers_are_documented(self, answer: httpx.Response) -> None:
        documented = self.operation.definition.raw["responses"][str(answer.status_code)]
        name = documented.get("$ref", "").rpartition("/")[2]
        documented = DOCUMENT["components"]["responses"].get(name, documented)
        known = {header.lower() for header in documented["headers"]} | EVERYWHERE
        assert answer.headers.keys() <= known, (self.id, answer.headers.keys() - known)

    def _refused_for_what_is_documented(self, answer: httpx.Response) -> None:
        if answer.status_code == 400:
            error = answer.json()["error"]
            places = {path.partition(".")[0].partition("[")[0] for path in error.get("fields", {})}
            assert places, (self.id, answer.text, str(answer.request.url))
            beyond = BEYOND_A_SCHEMA.get(self.id, set())
            assert places <= beyond, (self.id, answer.text, answer.request.read())
