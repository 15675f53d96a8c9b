"""Alembic's entry for this component; everything is in `services.common.migrations.environment`."""

from services.common.migrations.environment import run

run()
