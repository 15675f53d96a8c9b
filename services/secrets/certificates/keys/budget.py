"""What opening keys may cost, settled before the first round of a derivation is run.

A few bytes can ask for hours of key derivation, and some of it holds the interpreter lock.
Prices are in nanoseconds of processor time on a machine of 2026 with SHA instructions, measured and
rounded up. On another one they are as wrong as it is slower, and the worker's own limit has the last word.
"""

from typing import Final

from services.secrets.certificates.limits import MAX_FILE_NANOSECONDS, MAX_KDF_ITERATIONS

_GIGA: Final = 1_000_000_000


class EncryptionRefused(Exception):  # noqa: N818 - a refusal
    """It will not be opened: a method nobody here knows, or a price beyond the limits.

    The text completes "it was not opened: ..." and quotes nothing of the input but object identifiers.
    """


class TooMuchWork(EncryptionRefused):
    """All that is in the file costs too much together, whether to decrypt or to check."""


class FormsLeft(TooMuchWork):
    """The passphrase fits in none of the forms tried, and the budget ended before all of them were.

    So nobody knows whether it is wrong.
    """

    def __init__(self) -> None:
        super().__init__(
            "the passphrase, which may be a wrong one, does not open it in the encodings that were tried, "
            "and trying the others in which programs take one needs, with all the rest, more than the "
            f"{MAX_FILE_NANOSECONDS / _GIGA:g} s of processor time that deriving keys is given"
        )


class Budget:
    """The nanoseconds that one request may cost, all that is encrypted in it and all its keys together."""

    def __init__(self, nanoseconds: int = MAX_FILE_NANOSECONDS) -> None:
        self._left = nanoseconds

    def charge(self, iterations: int, price: int) -> None:
        """Pays for a derivation; `price` is of one iteration.

        Raises EncryptionRefused, ValueError for none at all.
        """
        if iterations < 1:
            raise ValueError("an iteration count below one")
        if iterations > MAX_KDF_ITERATIONS:
            raise EncryptionRefused(
                f"its key derivation asks for more than {MAX_KDF_ITERATIONS} iterations"
            )
        self.spend(iterations * price)

    def spend(self, nanoseconds: int) -> None:
        """Takes them. Raises TooMuchWork when fewer are left."""
        if nanoseconds > self._left:
            raise TooMuchWork(
                "deriving keys from the passphrase and checking RSA and DSA keys take, all together, more "
                f"than the {MAX_FILE_NANOSECONDS / _GIGA:g} s of processor time that they are given"
            )
        self._left -= nanoseconds
