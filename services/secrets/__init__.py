"""secrets: sees secrets and short-lived data keys, never a cloud credential or a master key."""
