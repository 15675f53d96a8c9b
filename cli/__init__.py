"""The command `coffer`: the local supervisor, the demo and administration."""
