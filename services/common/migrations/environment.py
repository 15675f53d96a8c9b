"""What each component's `env.py` runs: its revisions, on the connection that `runner` opened."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Apply the component's pending revisions, each in its own transaction."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        version_table="schema_revision",
        version_table_schema=context.config.attributes["schema"],
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
