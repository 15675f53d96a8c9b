"""rewrap: steers the move to a new master key, and sees neither a key nor a secret."""
