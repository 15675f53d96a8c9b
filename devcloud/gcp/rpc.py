"""Cloud KMS over gRPC and TLS: authentication, weather, counting, then the operation."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import google_crc32c
import grpc
from grpc_status import rpc_status

from devcloud.faults import ConnectionDropped, FaultKind
from devcloud.gcp import wire
from devcloud.gcp.errors import KMS, GoogleError, as_status, internal, quota_exceeded
from devcloud.gcp.kms import Kms
from devcloud.gcp.names import key_of
from devcloud.gcp.tokens import CLOUD_PLATFORM
from devcloud.ledger import OK

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.faults import Faults
    from devcloud.gcp.cloud import Cloud
    from devcloud.gcp.tokens import Tokens
    from devcloud.ledger import Ledger, OpenCall
    from devcloud.tls import Leaf

SCOPES = (CLOUD_PLATFORM, "https://www.googleapis.com/auth/cloudkms")
GARBAGE = b"\xff\xff\xff\xff this is not protobuf"
# A call that waits on purpose keeps a thread, so there have to be many; they are made on demand.
_THREADS = 256
_GRACE_SECONDS = 1.0
_REQUESTS = {
    "Encrypt": "EncryptRequest",
    "Decrypt": "DecryptRequest",
    "GetCryptoKey": "GetCryptoKeyRequest",
    "GetCryptoKeyVersion": "GetCryptoKeyVersionRequest",
}
# The answer's payload and its checksum, of the operations that have one.
_PAYLOADS = {
    "Encrypt": ("ciphertext", "ciphertext_crc32c"),
    "Decrypt": ("plaintext", "plaintext_crc32c"),
}

Method = tuple[str, "Callable[[Any, Any], Any]"]


class KmsEndpoint:
    """The handlers of one stand-in; `handlers` is what a grpc server takes."""

    def __init__(self, cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> None:
        self._messages = wire.Messages()
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger
        kms = Kms(cloud, self._messages)
        self._operations: dict[str, Callable[[Any, Any], Any]] = {
            "Encrypt": kms.encrypt,
            "Decrypt": kms.decrypt,
            "GetCryptoKey": kms.get_crypto_key,
            "GetCryptoKeyVersion": kms.get_crypto_key_version,
        }

    def handlers(self) -> grpc.GenericRpcHandler:
        """Every operation; anything else of the service is UNIMPLEMENTED."""
        return grpc.method_handlers_generic_handler(
            wire.SERVICE,
            {name: self._handler(name) for name in self._operations},
        )

    def _handler(self, operation: str) -> grpc.RpcMethodHandler[Any, Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> bytes:
            with self._ledger.call(operation) as record:
                try:
                    body = self._answer(operation, request, context, record)
                except GoogleError as error:
                    record.outcome = error.code.name
                    refusal = error
                except ConnectionDropped:
                    # A grpc server cannot cut one connection; this is what a client of a cut one
                    # is told.
                    refusal = GoogleError(grpc.StatusCode.UNAVAILABLE, "Socket closed")
                else:
                    record.outcome = OK
                    return body
            return _abort(context, refusal)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=self._messages.of(_REQUESTS[operation]).FromString,
            response_serializer=bytes,
        )

    def _answer(
        self, operation: str, request: Any, context: grpc.ServicerContext, record: OpenCall
    ) -> bytes:
        metadata = dict(context.invocation_metadata())
        authorization = metadata.get("authorization")
        caller = self._tokens.caller(
            None if authorization is None else str(authorization), KMS, SCOPES
        )
        record.caller = caller.email
        record.context = _logged(request)
        with self._ledger.occupying(record, key_of(request.name)):
            gone = threading.Event()
            # False for a call that has ended already: nobody would set the event any more.
            if not context.add_callback(gone.set):
                gone.set()
            rules = self._faults.take_rules(operation, record.resource, gone=gone)
            if gone.is_set():
                raise GoogleError(grpc.StatusCode.CANCELLED, "The caller has left.")
            weather = frozenset(rule.kind for rule in rules)
            if FaultKind.THROTTLE in weather:
                raise quota_exceeded("Cryptographic requests", KMS, _consumer(request.name))
            if FaultKind.INTERNAL in weather:
                raise internal()
            reply = self._operations[operation](caller, request)
        if FaultKind.GARBAGE in weather:
            return GARBAGE
        if operation in _PAYLOADS:
            _spoil(reply, *_PAYLOADS[operation], weather)
        return bytes(reply.SerializeToString())


class KmsServer:
    """A grpc server of its own. Construction does no I/O and starts no thread."""

    def __init__(self, endpoint: KmsEndpoint, *, host: str, port: int) -> None:
        self._endpoint = endpoint
        self._address = (host, port)
        self._server: grpc.Server | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._port: int | None = None

    def start(self, leaf: Leaf) -> None:
        """Bind and serve. Raises OSError when the address cannot be had."""
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="devcloud-gcp")
        server = grpc.server(self._threads)
        server.add_generic_rpc_handlers((self._endpoint.handlers(),))
        credentials = grpc.ssl_server_credentials([(leaf.key, leaf.certificate)])
        host, port = self._address
        try:
            self._port = server.add_secure_port(f"{host}:{port}", credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {host}:{port}") from error
        server.start()
        self._server = server

    def stop(self) -> None:
        """End all calls and threads, once nobody waits on purpose. Safe to call twice."""
        if self._server is not None:
            self._server.stop(_GRACE_SECONDS).wait()
            self._server = None
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    @property
    def listen(self) -> str:
        """`host:port` as bound. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the server is not running")
        return f"{self._address[0]}:{self._port}"


def _abort(context: grpc.ServicerContext, error: GoogleError) -> bytes:
    context.abort_with_status(rpc_status.to_status(as_status(error)))
    raise AssertionError("abort does not return")


def _logged(request: Any) -> dict[str, str]:
    aad = getattr(request, "additional_authenticated_data", b"")
    return {"additional_authenticated_data": base64.b64encode(aad).decode()} if aad else {}


def _consumer(name: str) -> str:
    return "project_number:" + str(google_crc32c.value("/".join(name.split("/")[:2]).encode()))


def _spoil(reply: Any, field: str, checksum: str, weather: frozenset[FaultKind]) -> None:
    """Other bytes with the right checksum (CORRUPT), or right bytes with a wrong one."""
    if FaultKind.CORRUPT in weather:
        other = bytes(byte ^ 0xFF for byte in getattr(reply, field))
        setattr(reply, field, other)
        getattr(reply, checksum).value = google_crc32c.value(other)
    if FaultKind.BAD_CHECKSUM in weather:
        getattr(reply, checksum).value ^= 1
