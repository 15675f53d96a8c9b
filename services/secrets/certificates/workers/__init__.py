"""The processes in which untrusted material is read, so that it can cost only them."""
