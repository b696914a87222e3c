"""The key-value store of plugins."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "plugin_kv",
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("key", sa.String(256).with_variant(sa.String(256, collation="C"), "postgresql"), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("plugin_id", "key", name="pk_plugin_kv"),
    )
    op.create_index("ix_plugin_kv_expires_at", "plugin_kv", ["expires_at"])
    op.create_table(
        "plugin_kv_usage",
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("keys", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plugin_id", name="pk_plugin_kv_usage"),
    )


def downgrade() -> None:
    op.drop_table("plugin_kv_usage")
    op.drop_index("ix_plugin_kv_expires_at", "plugin_kv")
    op.drop_table("plugin_kv")
