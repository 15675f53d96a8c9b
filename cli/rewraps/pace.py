"""How far a rewrap is and how fast it goes, in words."""

from __future__ import annotations

from typing import Any


def moved(lease: dict[str, Any]) -> str:
    """How many of the data keys it has moved."""
    return f"{lease['done']} of {'?' if lease['total'] is None else lease['total']}"


def pace(lease: dict[str, Any]) -> str:
    """Rate and time left, or what is in the way."""
    if lease["state"] == "waiting" and lease["last_error"]:
        return str(lease["last_error"])
    rate, left = lease["rate_per_second"], lease["eta_seconds"]
    if left is None:
        return "" if rate is None else f"{rate:,.0f} keys/s"
    return f"{'verifying' if rate is None else f'{rate:,.0f} keys/s'}, {_duration(left)} left"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
