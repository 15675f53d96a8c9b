"""Use cases of the life of a key, beyond connecting it."""
