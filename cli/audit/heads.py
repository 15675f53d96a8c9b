"""`coffer audit head`: the head of a chain, signed by kms, to be kept where the operator cannot change it.

Format: protos/coffer/kms/v1/kms.proto, `SignAuditHeadResponse`; checked as every paper (cli/papers.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from cli.api import UnreachableError
from cli.commands import AsJson, DataDir, OfTenant, exit_codes, show_facts, show_json
from cli.connection import Stack
from cli.papers import CannotCheckError, NotGenuineError, canonical, parse, verify_jws
from cli.tenancy import TenancyError
from services.common.audit_chain import Head
from services.common.rpc.channel import OPTIONS, credentials_of
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.connection import OperatorAccess
    from services.common.errors import CofferError

TYPE: Final = "coffer-audit-head"
FORMAT: Final = "coffer/audit-head/1"
_SECONDS: Final = 30.0
_SILENT: Final = ("unavailable", "timeout")


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What was signed, and the paper."""

    tenant_id: str
    head: Head
    signed_at: str
    jws: str


def head(tenant: OfTenant, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Have kms sign the head of a tenant's audit chain. Keep what --json gives out of our reach.

    For the operator, who is known to kms by a certificate: that of a data directory of `coffer up`, else
    COFFER_KMS_TARGET with COFFER_OPERATOR_TLS_CERT_FILE, _KEY_FILE and _CA_FILE.

    Example: coffer audit head --tenant acme --json

    Exit status: 0 signed, 3 no kms found or reachable, 4 no such tenant, or refused.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        signed = sign_head(stack.operator(), stack.tenant_id(tenant))
    facts = statement_of(signed)
    if as_json:
        show_json({"statement": facts, "jws": signed.jws})
    else:
        show_facts([*facts.items(), ("jws", signed.jws)])


def sign_head(access: OperatorAccess, tenant_id: str) -> SignedHead:
    """A head signed now. Raises UnreachableError, TenancyError, OSError."""
    tls = credentials_of(access.tls)
    with grpc.secure_channel(access.target, tls, OPTIONS) as channel:
        kms: Any = kms_pb2_grpc.KmsServiceStub(channel)
        try:
            reply = kms.SignAuditHead(
                kms_pb2.SignAuditHeadRequest(tenant_id=tenant_id), timeout=_SECONDS
            )
        except grpc.RpcError as error:
            # A finished call of the synchronous client answers the same questions.
            raise _sentence(from_rpc_error(cast("grpc.aio.AioRpcError", error))) from None
    told = reply.statement
    digest = Head(told.seq, bytes.fromhex(told.hash))
    return SignedHead(told.tenant_id, digest, told.signed_at, reply.jws)


def statement_of(signed: SignedHead) -> dict[str, object]:
    """The statement as it was signed."""
    return {
        "format": FORMAT,
        "tenant_id": signed.tenant_id,
        "seq": signed.head.seq,
        "hash": signed.head.hash.hex(),
        "signed_at": signed.signed_at,
    }


def verify_head(text: str, keys: Mapping[str, Any]) -> SignedHead:
    """A head that one of `keys` signed: the JWS alone, or the JSON of `coffer audit head --json`.

    Does no I/O. Raises NotGenuineError, CannotCheckError.
    """
    jws, shown = text.strip(), None
    if jws.startswith("{"):
        document = parse(jws)
        jws, shown = document.get("jws", ""), document.get("statement")
    _, signed = verify_jws(str(jws), keys, TYPE, "a head of an audit chain")
    if signed.get("format") != FORMAT:
        raise CannotCheckError("the head is of a form that this release does not know")
    if shown is not None and canonical(shown) != canonical(signed):
        raise NotGenuineError("the readable statement is not the one that was signed")
    digest = Head(signed["seq"], bytes.fromhex(signed["hash"]))
    return SignedHead(signed["tenant_id"], digest, signed["signed_at"], str(jws))


def _sentence(error: CofferError) -> Exception:
    if error.code in _SILENT:
        return UnreachableError("kms does not answer, or does not take the operator's certificate")
    return TenancyError(error.message)
