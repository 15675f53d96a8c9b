"""See `services.common.rpc.answering`."""

from services.common.rpc.answering import answer

__all__ = ["answer"]
