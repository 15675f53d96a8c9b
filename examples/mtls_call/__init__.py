"""An example: a service that calls a partner with a client certificate kept in Coffer."""
