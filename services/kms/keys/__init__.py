"""Master keys in memory: the hierarchy, the cache, sealing and what tends them. Pure but for the clock."""
