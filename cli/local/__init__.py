"""The local supervisor behind `coffer up`: one machine, one data directory, real processes."""
