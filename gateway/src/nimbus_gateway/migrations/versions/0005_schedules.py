"""Schedules of plugins and their runs; names of subscribers may be longer."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("event_subscribers") as table:
        table.alter_column("name", existing_type=sa.String(60), type_=sa.String(100), existing_nullable=False)
    with op.batch_alter_table("event_deliveries") as table:
        table.alter_column("subscriber", existing_type=sa.String(60), type_=sa.String(100), existing_nullable=False)
    op.create_table(
        "schedules",
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("cron", sa.String(120), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("missed", sa.String(8), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("running", sa.Uuid(), nullable=True),
        sa.Column("error", sa.String(300), nullable=True),
        sa.PrimaryKeyConstraint("plugin_id", "id", name="pk_schedules"),
    )
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"])
    op.create_table(
        "schedule_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plugin_id", sa.String(40), nullable=False),
        sa.Column("schedule", sa.String(40), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_schedule_runs"),
    )
    op.create_index("ix_schedule_runs_plugin_id_schedule_id", "schedule_runs", ["plugin_id", "schedule", "id"])
    op.create_index("ix_schedule_runs_started_at", "schedule_runs", ["started_at"])


def downgrade() -> None:
    op.drop_table("schedule_runs")
    op.drop_table("schedules")
    with op.batch_alter_table("event_deliveries") as table:
        table.alter_column("subscriber", existing_type=sa.String(100), type_=sa.String(60), existing_nullable=False)
    with op.batch_alter_table("event_subscribers") as table:
        table.alter_column("name", existing_type=sa.String(100), type_=sa.String(60), existing_nullable=False)
