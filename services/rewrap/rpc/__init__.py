"""The rpcs of rewrap: messages to use cases and back. Policy has been enforced before they are called."""
