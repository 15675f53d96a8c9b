"""The services of Coffer. Start one with `python -m services.<name>`.

Never put this folder itself on `sys.path`: `import secrets` would find ours.
"""
