"""Private keys: how they are protected, what opening them costs, and what is in them."""
