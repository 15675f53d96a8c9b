"""Alembic migrations of rewrap: forward-only, safe while the previous release runs."""
