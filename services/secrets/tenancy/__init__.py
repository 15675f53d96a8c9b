"""The tenant itself: its API keys, its account, what it uses of its plan. Pure."""
