"""Idempotency keys: the same request twice does its work once (wire contract, "Idempotency").

A request that brings a key claims it before its work begins. What it answers is kept in the transaction of
the work itself, so that a crash between doing and answering leaves either both or neither. A claim whose
owner died is taken over after a short while; an owner that was only slow then finds that the claim is not
its own any more, and its transaction undoes itself. So however often and wherever a request is repeated, one
transaction of them commits.

This module is pure; `store` holds the statements and `guard` what the interceptor asks.
"""

from services.common.idempotency.claim import Claim, ClaimLostError, Kept

__all__ = ["Claim", "ClaimLostError", "Kept"]
