"""An index by whoever made an item: a plugin's items are counted against its limit, in the middle of its writes."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_media_created_by", "media", ["created_by"])


def downgrade() -> None:
    op.drop_index("ix_media_created_by", "media")
