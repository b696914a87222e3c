"""The settings that a version of a plugin was left with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "plugin_settings_versions",
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("plugin_id", "version", name="pk_plugin_settings_versions"),
    )


def downgrade() -> None:
    op.drop_table("plugin_settings_versions")
