"""How much one reply may hold. Pure."""


class Allowance:
    """What one reply may hold, in bytes of stored values: first come, first served."""

    def __init__(self, total_bytes: int) -> None:
        self._left = total_bytes
        self._taken: dict[int, int] = {}

    def covers(self, place: int, size: int) -> bool:
        """Whether there is room for the value at this place; asked again it is not counted twice."""
        left = self._left + self._taken.get(place, 0)
        if size > left:
            return False
        self._left, self._taken[place] = left - size, size
        return True
