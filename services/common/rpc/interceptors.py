"""What every call passes through: request id, policy, refusals of the gateway, errors, log, metrics.

Order (wire contract, "Order of checks"): 401, 403, step-up present and fresh, then the refusal that the
gateway found in the body, then the servicer.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from services.common.errors import CofferError, ForbiddenError, InternalError
from services.common.identity import Call, Peer, enter_call
from services.common.rpc.policy import Credentials
from services.common.rpc.status import to_status
from services.common.telemetry import describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.common.rpc.policy import Enforcer
    from services.common.telemetry import Metrics

REQUEST_ID: Final = "x-request-id"
CLIENT_IP: Final = "coffer-client-ip"
REFUSAL: Final = "coffer-refusal-bin"
"""A serialized google.rpc.Status: what the gateway found wrong with a body, answered once the caller has
been authenticated and authorised."""

OPEN_SERVICES: Final = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/grpc.reflection.v1.ServerReflection/",
)
"""What anybody with a certificate of our CA may call: it holds no tenant data."""

_log = structlog.get_logger(__name__)


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """The one server interceptor. `domain` is such as `coffer.kms`."""

    def __init__(self, domain: str, enforcer: Enforcer, metrics: Metrics) -> None:
        self._domain = domain
        self._enforcer = enforcer
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a unary rpc; deny any other kind that is not open to all."""
        method = str(handler_call_details.method)
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        if handler.unary_unary is None:
            return grpc.unary_unary_rpc_method_handler(self._deny)
        return grpc.unary_unary_rpc_method_handler(
            self._wrap(method, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _deny(self, _request: object, context: Any) -> None:
        await self._abort(context, ForbiddenError("Streaming rpcs declare no policy here."))

    def _wrap(self, method: str, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        rpc = method.rpartition("/")[2]

        async def serve(request: Any, context: Any) -> Any:
            started = time.monotonic()
            metadata = dict(context.invocation_metadata() or ())
            call = _new_call(metadata, context, started)
            structlog.contextvars.bind_contextvars(request_id=call.request_id, rpc=rpc)
            code = "ok"
            try:
                peer = _peer(context)
                if peer.service is None:
                    # Only a service of ours knows on whose behalf it calls; others could forge it.
                    call = replace(call, ip_address=None)
                call = await self._enforcer.admit(method, _credentials(peer, metadata), call)
                enter_call(call)
                refusal = metadata.get(REFUSAL)
                if refusal is not None:
                    code = "refused"
                    await _refuse(context, peer, refusal)
                return await inner(request, context)
            except CofferError as error:
                code = error.code
                await self._abort(context, error)
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                code = "cancelled"  # the caller went away, or its deadline passed
                raise
            except Exception as error:  # noqa: BLE001 - the last line: no foreign text leaves
                code = "internal_error"
                _log.error("call_failed", **describe(error))
                await self._abort(context, InternalError())
            finally:
                self._metrics.calls.labels(self._metrics.service, rpc, code).inc()
                elapsed = time.monotonic() - started
                self._metrics.seconds.labels(self._metrics.service, rpc).observe(elapsed)
                _log.info(
                    "call", code=code, milliseconds=round(elapsed * 1000, 1), actor=call.actor
                )

        return serve

    async def _abort(self, context: Any, error: CofferError) -> None:
        await context.abort_with_status(rpc_status.to_status(to_status(error, self._domain)))


def _new_call(metadata: dict[str, Any], context: Any, now: float) -> Call:
    remaining = context.time_remaining()
    return Call(
        actor="unknown",
        request_id=_request_id(metadata.get(REQUEST_ID)),
        ip_address=metadata.get(CLIENT_IP),
        deadline=None if remaining is None else now + remaining,
    )


def _request_id(given: object) -> str:
    try:
        return str(uuid.UUID(str(given)))
    except ValueError:
        return str(uuid.uuid4())


def _peer(context: Any) -> Peer:
    found: list[bytes] = list(context.auth_context().get("peer_spiffe_id", ()))
    return Peer.parse(found[0].decode()) if len(found) == 1 else Peer()


def _credentials(peer: Peer, metadata: dict[str, Any]) -> Credentials:
    return Credentials(
        peer=peer,
        authorization=metadata.get("authorization"),
        x_api_key=metadata.get("x-api-key"),
        step_up=metadata.get("x-knoxcall-stepup"),
    )


async def _refuse(context: Any, peer: Peer, refusal: bytes) -> None:
    """Never goes on to the servicer: what comes with a refusal is an empty request."""
    if peer.service != "gateway":
        raise ForbiddenError("Only the gateway may hand over a refusal.")
    await context.abort_with_status(rpc_status.to_status(status_pb2.Status.FromString(refusal)))
