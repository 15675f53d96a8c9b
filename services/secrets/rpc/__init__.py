"""The gRPC face of the secrets service: messages to values and back, nothing else."""

from services.secrets.rpc.servicer import SecretsServicer

__all__ = ["SecretsServicer"]
