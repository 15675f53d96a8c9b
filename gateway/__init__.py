"""The REST front of Coffer: turns HTTP requests into the rpcs of `protos/` and back, and holds nothing."""
