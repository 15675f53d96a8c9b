"""kms: sees keys and never a secret."""
