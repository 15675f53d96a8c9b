"""gRPC: protobuf to use cases and back."""

from services.kms.rpc.servicer import KmsServicer

__all__ = ["KmsServicer"]
