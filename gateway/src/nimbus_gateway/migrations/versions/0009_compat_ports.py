"""Compatibility ports."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "compat_ports",
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("mapped_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("port", name="pk_compat_ports"),
    )
    op.create_index("ix_compat_ports_plugin_id", "compat_ports", ["plugin_id"])


def downgrade() -> None:
    op.drop_index("ix_compat_ports_plugin_id", "compat_ports")
    op.drop_table("compat_ports")
