"""What a request about a customer's key must look like. Pure."""

from services.kms.validation.body import (
    CONFIG_FIELDS,
    PROVIDERS,
    issued_external_id,
    parse,
    parse_operator,
)
from services.kms.validation.rules import OPERATOR, Rules

__all__ = [
    "CONFIG_FIELDS",
    "OPERATOR",
    "PROVIDERS",
    "Rules",
    "issued_external_id",
    "parse",
    "parse_operator",
]
