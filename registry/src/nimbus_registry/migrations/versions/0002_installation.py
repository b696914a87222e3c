"""What was decided about an installed plugin, and its versions.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from nimbus_registry.database import JsonColumn

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plugin", sa.Column("installation", JsonColumn))


def downgrade() -> None:
    op.drop_column("plugin", "installation")
