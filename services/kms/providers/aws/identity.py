"""The process's own AWS identity, as boto3's chain of sources gives it.

boto3 is synchronous: everything here that does I/O is to be called in a thread.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials


class NoIdentityError(Exception):
    """The process has no AWS identity, or cannot get at it. No text of the SDK."""


class Identity:
    """Finds the credentials, and has them renewed. Construction does no I/O. For many threads."""

    def __init__(self) -> None:
        # boto3's sessions are not thread-safe, the credentials that they give are.
        self._lock = threading.Lock()
        self._chain: boto3.session.Session | None = None

    def credentials(self) -> ReadOnlyCredentials:
        """Credentials that are good now and do not change. To be asked for before every use.

        Raises NoIdentityError whatever went wrong, also when AWS refused to give them: a refusal of the
        platform's own login must not be taken for one of a customer's role or key. Nothing of a failure is
        kept, so the next call finds what has come since.
        """
        chain = None
        with contextlib.suppress(Exception):
            with self._lock:
                chain = self._chain = self._chain or boto3.session.Session()
                found = chain.get_credentials()
            if found is not None:
                return found.get_frozen_credentials()
        with self._lock:
            if self._chain is chain:
                self._chain = None  # it has read its files for good
        raise NoIdentityError
