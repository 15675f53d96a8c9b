"""What deriving keys may cost, settled before the first round is run.

A few bytes can ask for hours of key derivation, and some of it holds the interpreter lock.
"""

from services.secrets.certificates.limits import MAX_FILE_ROUNDS, MAX_KDF_ITERATIONS


class EncryptionRefused(Exception):  # noqa: N818 - a refusal
    """It will not be opened: a method nobody here knows, or a price beyond the limits.

    The text completes "it was not opened: ..." and quotes nothing of the input but object identifiers.
    """


class Budget:
    """The rounds that one file may cost, all its encrypted parts together.

    A round is one of PBKDF2 with HMAC-SHA-256; `weight` says how many of them one of another kind takes.
    """

    def __init__(self, rounds: int = MAX_FILE_ROUNDS) -> None:
        self._left = rounds

    def charge(self, iterations: int, weight: int) -> None:
        """Takes `iterations * weight` rounds. Raises EncryptionRefused, ValueError for none at all."""
        if iterations < 1:
            raise ValueError("an iteration count below one")
        if iterations > MAX_KDF_ITERATIONS:
            raise EncryptionRefused(
                f"its key derivation asks for more than {MAX_KDF_ITERATIONS} iterations"
            )
        self.spend(iterations * weight)

    def spend(self, rounds: int) -> None:
        """Takes `rounds`. Raises EncryptionRefused when fewer are left."""
        if rounds > self._left:
            raise EncryptionRefused(
                "all its key derivations together ask for more work than is done for one file, "
                f"which is {MAX_FILE_ROUNDS} rounds of PBKDF2 with SHA-256"
            )
        self._left -= rounds
