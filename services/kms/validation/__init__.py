"""What a request about a customer's key must look like. Pure."""

from services.kms.validation.body import (
    CONFIG_FIELDS,
    PROVIDERS,
    Rules,
    issued_external_id,
    parse,
    parse_operator,
)

__all__ = ["CONFIG_FIELDS", "PROVIDERS", "Rules", "issued_external_id", "parse", "parse_operator"]
