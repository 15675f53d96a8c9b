"""The services of Coffer. Start one with `python -m services.<name>`; never put this folder itself on `sys.path`."""
