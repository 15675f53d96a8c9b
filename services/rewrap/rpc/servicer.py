"""The servicer: every rpc of coffer.rewrap.v1.RewrapService, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coffer.rewrap.v1 import rewrap_pb2, rewrap_pb2_grpc

from services.rewrap.rpc.looking import LookingRpcs
from services.rewrap.rpc.steering import SteeringRpcs

if TYPE_CHECKING:
    from services.rewrap.service import Rewraps
    from services.rewrap.steering import Steering

DESCRIPTOR = rewrap_pb2.DESCRIPTOR.services_by_name["RewrapService"]


class RewrapServicer(LookingRpcs, SteeringRpcs, rewrap_pb2_grpc.RewrapServiceServicer):
    """Who may call is decided before."""

    def __init__(self, rewraps: Rewraps, steering: Steering) -> None:
        LookingRpcs.__init__(self, rewraps)
        SteeringRpcs.__init__(self, steering)
