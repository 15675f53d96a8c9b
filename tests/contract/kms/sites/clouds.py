"""The clouds that the contract suite runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.contract.kms.sites import aws, azure, gcp

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.contract.kms.sites.site import MakeSite

CLOUDS: Final[dict[str, Callable[[], AbstractContextManager[MakeSite]]]] = {
    "aws": aws.cloud,
    "azure": azure.cloud,
    "gcp": gcp.cloud,
}
"""A further provider is a line here."""
