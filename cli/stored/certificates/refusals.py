"""What a person reads whose files are refused: what is wrong, the reason, the file it came from."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cli.api import ApiError
from cli.commands import fail
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cli.stored.certificates.gathering import Given
    from services.secrets.certificates import CertificateRefused


@contextlib.contextmanager
def with_files(given: Given) -> Iterator[None]:
    """Leave with the API's refusal of these files, if there is one, told with the files."""
    try:
        yield
    except ApiError as error:
        fail(_of_the_server(error, given), Exit.REFUSED if error.refused else Exit.FAILED)


def _of_the_server(error: ApiError, given: Given) -> str:
    """The answer of the API, with the file for each field that came from one."""
    fields: dict[str, list[str]] = error.error.get("fields") or {}
    if not given.origins.keys() & fields.keys():
        return "\n".join(error.lines())
    details = {name: error.error.get(name) for name in ("reason", "request_id")}
    return _told(fields, details, given)


def of_the_reader(refused: CertificateRefused, given: Given) -> str:
    """The same for what was read here and nowhere else."""
    return _told({refused.field: [refused.message]}, {"reason": refused.reason}, given)


def _told(
    fields: Mapping[str, Sequence[str]], details: Mapping[str, str | None], given: Given
) -> str:
    told = []
    for name, faults in fields.items():
        told += [f"{name}: {fault}" for fault in faults]
        if name in given.origins:
            told.append(f"  {name} {given.origins[name]}")
    told += [f"  {name}: {value}" for name, value in details.items() if value is not None]
    return "\n".join(told)
