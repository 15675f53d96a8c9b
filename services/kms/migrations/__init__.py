"""Alembic migrations of kms: forward-only, safe while the previous release runs."""
