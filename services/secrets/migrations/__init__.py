"""Alembic migrations of secrets: forward-only, safe while the previous release runs."""
