"""Plugins, their transitions, counters.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from nimbus_registry.database import JsonColumn, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plugin",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("capabilities", JsonColumn, nullable=False),
        sa.Column("manifest", JsonColumn),
        sa.Column("problems", JsonColumn, nullable=False),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("reason", JsonColumn),
        sa.Column("token_sha256", sa.String(64)),
        sa.Column("run_id", sa.String(200)),
        sa.Column("failures", JsonColumn, nullable=False),
        sa.Column("ui", JsonColumn),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "transition",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("from_state", sa.String(20)),
        sa.Column("to_state", sa.String(20), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("cause", sa.String(120), nullable=False),
        sa.Column("reason", JsonColumn),
    )
    op.create_index("ix_transition_plugin_id_id", "transition", ["plugin_id", "id"])
    op.create_table(
        "counter",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("counter")
    op.drop_table("transition")
    op.drop_table("plugin")
