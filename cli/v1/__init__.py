"""The tenant's own commands, over the client API with the tenant's key."""
