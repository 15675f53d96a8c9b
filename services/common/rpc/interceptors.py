"""What every call passes through: request id, policy, refusals of the gateway, errors, log, metrics.

Order (wire contract, "Order of checks"): 401, 403, step-up present and fresh, then the refusal that the
gateway found in the body, then what came of a copy of the request, then the servicer.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import re
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from services.common.defects import describe
from services.common.errors import CofferError, ForbiddenError, InternalError
from services.common.identity import Call, Peer, enter_call
from services.common.rpc import addresses, responses
from services.common.rpc.policy import Credentials
from services.common.rpc.repeats import IDEMPOTENCY_KEY
from services.common.rpc.status import to_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.common.rpc.policy import Enforcer
    from services.common.rpc.repeats import Repeats
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

OK: Final = "ok"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SERVICE_ACTOR: Final = "service:"

_log = structlog.get_logger(__name__)
_stdlib_log = logging.getLogger(__name__)


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """The one server interceptor. `domain` is such as `coffer.kms`.

    Without `repeats` the idempotency keys of calls mean nothing.
    """

    def __init__(
        self, domain: str, enforcer: Enforcer, metrics: Metrics, repeats: Repeats | None = None
    ) -> None:
        self._domain = domain
        self._repeats = repeats
        self._enforcer = enforcer
        self._metrics = metrics
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a unary rpc; deny any other kind that is not open to all.

        The handler of an rpc is the same for every call, so it is wrapped once.
        """
        method = str(handler_call_details.method)
        known = self._wrapped.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        if handler.unary_unary is None:
            return grpc.unary_unary_rpc_method_handler(self._deny)
        wrapped = grpc.unary_unary_rpc_method_handler(
            self._wrap(method, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        self._wrapped[method] = wrapped
        return wrapped

    async def _deny(self, _request: object, context: Any) -> None:
        await self._abort(context, ForbiddenError("Streaming rpcs declare no policy here."))

    def _wrap(self, method: str, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        rpc = method.rpartition("/")[2]
        note = self._note(rpc)
        attend = self._attend(method, inner)

        async def serve(request: Any, context: Any) -> Any:
            started = time.monotonic()
            metadata = dict(context.invocation_metadata() or ())
            peer = _peer(context)
            call = _new_call(metadata, peer, context, started)
            structlog.contextvars.bind_contextvars(request_id=call.request_id, rpc=rpc)
            code = OK
            responses.begin()
            try:
                call = await self._enforcer.admit(method, _credentials(peer, metadata), call)
                enter_call(call)
                refusal = metadata.get(REFUSAL)
                if refusal is not None:
                    code = "refused"
                    await _refuse(context, peer, refusal)
                return await attend(call, metadata, request, context)
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
                note(code, call, time.monotonic() - started)

        return serve

    def _attend(
        self, method: str, inner: Callable[..., Awaitable[Any]]
    ) -> Callable[[Call, dict[str, Any], Any, Any], Awaitable[Any]]:
        """The servicer, or what came of a copy of the request; the headers go before the reply."""
        repeats = self._repeats
        covered = repeats is not None and repeats.cover(method)

        async def attend(call: Call, metadata: dict[str, Any], request: Any, context: Any) -> Any:
            key = metadata.get(IDEMPOTENCY_KEY) if covered else None
            if key is None or repeats is None or call.tenant_id is None:
                reply = await inner(request, context)
            else:
                work = functools.partial(inner, request, context)
                reply = await repeats.serve(method, call, key, request, work)
            await responses.send(context)
            return reply

        return attend

    def _note(self, rpc: str) -> Callable[[str, Call, float], None]:
        """Counts and logs a call that ended. What services ask of each other is told where it failed; where
        it did not, the metrics count it and the log of who asked has its request id.
        """
        seconds = self._metrics.seconds.labels(self._metrics.service, rpc)
        counters: dict[str, Any] = {}

        def note(code: str, call: Call, elapsed: float) -> None:
            seconds.observe(elapsed)
            counter = counters.get(code)
            if counter is None:
                counter = counters[code] = self._metrics.calls.labels(
                    self._metrics.service, rpc, code
                )
            counter.inc()
            ours = code == OK and call.tenant_id is None and call.actor.startswith(_SERVICE_ACTOR)
            if not ours or _stdlib_log.isEnabledFor(logging.DEBUG):
                tell = _log.debug if ours else _log.info
                # Of who could not be known there is nothing but the address: no part of a credential.
                tell(
                    "call",
                    code=code,
                    milliseconds=round(elapsed * 1000, 1),
                    actor=call.actor,
                    tenant_id=None if call.tenant_id is None else str(call.tenant_id),
                    address=call.ip_address,
                )

        return note

    async def _abort(self, context: Any, error: CofferError) -> None:
        await responses.send(context)
        await context.abort_with_status(rpc_status.to_status(to_status(error, self._domain)))


def _new_call(metadata: dict[str, Any], peer: Peer, context: Any, now: float) -> Call:
    remaining = context.time_remaining()
    return Call(
        actor="unknown",
        request_id=_request_id(metadata.get(REQUEST_ID)),
        ip_address=_address(metadata, peer, context),
        deadline=None if remaining is None else now + remaining,
    )


def _address(metadata: dict[str, Any], peer: Peer, context: Any) -> str | None:
    """Whose address the call is made from. Only a service of ours knows on whose behalf it calls; others
    could forge it, and are where their connection comes from.
    """
    if peer.service is None:
        return addresses.of_peer(context.peer())
    return metadata.get(CLIENT_IP)


def _request_id(given: object) -> str:
    """The one that was handed on, if it is a UUID in its usual form; else a new one."""
    if isinstance(given, str) and _UUID.fullmatch(given):
        return given
    # No secret, and no call of the operating system for each: those let go of the interpreter's lock.
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _peer(context: Any) -> Peer:
    found: list[bytes] = list(context.auth_context().get("peer_spiffe_id", ()))
    return Peer.parse(found[0].decode("ascii", "replace")) if len(found) == 1 else Peer()


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
    await responses.send(context)
    await context.abort_with_status(rpc_status.to_status(status_pb2.Status.FromString(refusal)))
