"""The gateway put together from channels: what `__main__` runs and tests run against fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coffer.kms.v1 import kms_pb2
from coffer.rewrap.v1 import rewrap_pb2
from coffer.secrets.v1 import secrets_pb2

from gateway.app import BODY_SECONDS, MAX_BODY_BYTES, NO_PROXIES, Gateway, Page
from gateway.health import AlivePage, ReadyPage
from gateway.metrics import MetricsPage, RequestMetrics
from gateway.pages import OPENAPI_FILE, DocsPage, OpenApiPage
from gateway.routes import Route, routes_of
from gateway.transcode import Endpoint
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc
    from google.protobuf.descriptor import ServiceDescriptor

    from gateway.forwarding import TrustedProxies

SERVICES: Final[dict[str, ServiceDescriptor]] = {
    "kms": kms_pb2.DESCRIPTOR.services_by_name["KmsService"],
    "secrets": secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"],
    "rewrap": rewrap_pb2.DESCRIPTOR.services_by_name["RewrapService"],
}
"""Every service that the gateway answers for, by the name that settings use."""


def all_routes() -> list[Route]:
    """Every route there is."""
    return [route for service in SERVICES.values() for route in routes_of(service)]


def make_gateway(
    channels: Mapping[str, grpc.aio.Channel],
    *,
    timeout_seconds: float,
    max_body_bytes: int = MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
    proxies: TrustedProxies = NO_PROXIES,
) -> Gateway:
    """The application over a channel to each of `SERVICES`. Reads the committed openapi.json.

    Raises TypeError when the contract has a route that cannot be served. Closes no channel.
    """
    upstreams = {
        name: Upstream(channels[name], timeout_seconds=timeout_seconds) for name in SERVICES
    }
    endpoints = [
        Endpoint(route, upstreams[name].rpc(route.rpc))
        for name, service in SERVICES.items()
        for route in routes_of(service)
    ]
    document = OPENAPI_FILE.read_bytes()
    metrics = RequestMetrics()
    pages: list[Page] = [
        AlivePage(),
        ReadyPage({name: (SERVICES[name].full_name, channels[name]) for name in SERVICES}),
        MetricsPage(metrics),
        OpenApiPage(document),
        DocsPage(document),
    ]
    return Gateway(
        endpoints,
        pages,
        metrics,
        max_body_bytes=max_body_bytes,
        body_seconds=body_seconds,
        proxies=proxies,
    )
