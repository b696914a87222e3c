"""Alembic's environment: runs on the connection that `store.schema` hands over."""

from alembic import context
from sqlmodel import SQLModel

from nimbus_registry.store import tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata if tables else None,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
