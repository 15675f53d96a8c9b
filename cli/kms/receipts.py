"""`coffer kms check-receipt`: verify a receipt of erasure, with the platform's public keys and nothing else.

Format: protos/coffer/kms/v1/kms.proto, `RevocationReceipt`.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import statements
from cli.commands import AsJson  # noqa: TC001 - Typer reads annotations when it runs
from cli.papers import CannotCheckError, NotGenuineError
from cli.statements import Genuine, Keys, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CannotCheckError", "Genuine", "NotGenuineError", "check_receipt", "verify"]

RECEIPT: Final = Kind(
    type="coffer-revocation-receipt",
    format="coffer/revocation-receipt/1",
    word="receipt",
    name="a receipt of erasure",
)


def check_receipt(
    file: Annotated[
        Path, typer.Argument(help="The receipt: JSON as the API gave it, or the JWS alone.")
    ],
    *,
    keys: Keys,
    as_json: AsJson = False,
) -> None:
    """Verify the signed receipt of an erased master-key version. Needs no account and no running stack.

    Proven by exit status 0: the holder of one of the given keys signed exactly this statement as a receipt
    of erasure, and nothing in it was changed since. NOT proven: that the statement is true, that the
    given keys are the platform's (keep a copy of the JWKS from before, or compare it with one you got
    another way), and whatever the receipt itself lists under "does not cover".

    Example: coffer kms check-receipt receipt-1.json --keys signing-keys.json

    Exit status: 0 genuine, 1 not genuine, 2 could not be checked: a file or the keys could not be read.
    """
    statements.check(file, keys, RECEIPT, statements.as_they_are, as_json=as_json)


def verify(receipt: str, keys: Mapping[str, Any]) -> Genuine:
    """Check a receipt with a JWKS, see `statements.verify`."""
    return statements.verify(receipt, keys, RECEIPT)
