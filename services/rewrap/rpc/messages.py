"""A lease as a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.rewrap.v1 import rewrap_pb2

if TYPE_CHECKING:
    from services.rewrap.model import Lease


def shown(lease: Lease) -> rewrap_pb2.RewrapLease:
    """The lease, with what is known of it."""
    message = rewrap_pb2.RewrapLease(
        id=lease.id,
        state=lease.state,
        reason=lease.reason,
        target_version=lease.target_version,
        total=lease.total,
        done=lease.done,
        skipped=lease.skipped,
        failed=lease.failed,
        rate_per_second=lease.moved_per_second,
        eta_seconds=lease.eta_seconds,
        throttle_per_second=lease.throttle_per_second,
        last_error=lease.last_error,
    )
    message.created_at.FromDatetime(lease.created_at)
    if lease.started_at is not None:
        message.started_at.FromDatetime(lease.started_at)
    if lease.finished_at is not None:
        message.finished_at.FromDatetime(lease.finished_at)
    return message
