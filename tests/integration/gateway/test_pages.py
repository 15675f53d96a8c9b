"""What is served without a credential: health, readiness, metrics, the contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2

from gateway.pages import OPENAPI_FILE
from gateway.wiring import SERVICES

if TYPE_CHECKING:
    from tests.integration.gateway.conftest import Stack


async def test_alive_and_ready_while_every_service_serves(stack: Stack) -> None:
    del stack.client.headers["authorization"]
    assert (await stack.client.get("/healthz")).json() == {"status": "ok"}
    answer = await stack.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "services": {"kms": "SERVING", "secrets": "SERVING", "rewrap": "SERVING"},
    }


async def test_not_ready_while_one_service_is_not(stack: Stack) -> None:
    names = [service.full_name for service in SERVICES.values()]
    await stack.backend.health[1].set(names[1], health_pb2.HealthCheckResponse.NOT_SERVING)
    answer = await stack.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["services"]["secrets"] == "NOT_SERVING"
    assert answer.json()["services"]["kms"] == "SERVING"
    assert (await stack.client.get("/healthz")).status_code == 200


async def test_metrics_have_no_label_that_a_client_can_grow(stack: Stack) -> None:
    for n in range(20):
        await stack.client.get(f"/v1/secrets/{n}")
        await stack.client.get(f"/nowhere/{n}")
        await stack.client.request(f"X{'Y' * n}", "/v1/secrets")
    text = (await stack.client.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("coffer_gateway_requests_total")]
    assert (
        'coffer_gateway_requests_total{method="GET",route="/v1/secrets/{id}",status="200"} 20.0'
        in lines
    )
    assert 'coffer_gateway_requests_total{method="GET",route="(none)",status="404"} 20.0' in lines
    assert len(lines) <= 4
    assert "coffer_gateway_request_seconds_bucket" in text


async def test_the_contract_is_served_as_committed(stack: Stack) -> None:
    answer = await stack.client.get("/openapi.json")
    assert answer.content == OPENAPI_FILE.read_bytes()
    assert answer.headers["content-type"] == "application/json"


async def test_the_docs_page_needs_nothing_from_elsewhere(stack: Stack) -> None:
    answer = await stack.client.get("/docs")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for absent in ("<script", "src=", "https://", "http://", "@import", "url("):
        assert absent not in answer.text
    for path in json.loads(OPENAPI_FILE.read_bytes())["paths"]:
        assert path in answer.text
