"""Names of media items in other catalogues, and the feed of changes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("media") as table:
        table.add_column(sa.Column("external_id", sa.String(200), nullable=True))
        table.create_unique_constraint("uq_media_kind_external_id", ["kind", "external_id"])
    op.create_table(
        "media_changes",
        sa.Column("seq", ROW_ID, nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_media_changes"),
        sa.UniqueConstraint("media_id", name="uq_media_changes_media_id"),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO media_changes (media_id, deleted) SELECT id, false FROM media ORDER BY id")


def downgrade() -> None:
    op.drop_table("media_changes")
    with op.batch_alter_table("media") as table:
        table.drop_constraint("uq_media_kind_external_id", type_="unique")
        table.drop_column("external_id")
