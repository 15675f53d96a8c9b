"""What can be said about certificates that were read: names, dates, keys, the chain, warnings."""
