"""`tables` says what the migrations leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from services.common.database import sqlalchemy_url
from services.kms.tables import metadata

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase


def test_the_described_tables_are_those_of_the_migrated_database(database: TestDatabase) -> None:
    described = {
        table.name: {
            column.name: (_type(column.type), column.nullable, column.primary_key)
            for column in table.columns
        }
        for table in metadata().tables.values()
    }
    engine = sa.create_engine(sqlalchemy_url(database.admin_dsn), poolclass=sa.NullPool)
    inspector = sa.inspect(engine)
    found = {}
    for name in inspector.get_table_names(schema="kms"):
        if name == "schema_revision":
            continue
        keys = inspector.get_pk_constraint(name, schema="kms")["constrained_columns"]
        found[name] = {
            column["name"]: (_type(column["type"]), column["nullable"], column["name"] in keys)
            for column in inspector.get_columns(name, schema="kms")
        }
    engine.dispose()
    assert found == described


def _type(kind: sa.types.TypeEngine[Any]) -> str:
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()
    return kind.compile(dialect=dialect())
