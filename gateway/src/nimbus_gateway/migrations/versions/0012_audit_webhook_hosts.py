"""Webhook addresses in the audit record as they are written today: without what follows the host.

With many services the rest of the address is the secret, and earlier versions wrote it out.
"""

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

AUDIT = sa.table(
    "audit",
    sa.column("id", sa.Uuid()),
    sa.column("action", sa.String()),
    sa.column("detail", sa.JSON().with_variant(JSONB(), "postgresql")),
)


def upgrade() -> None:
    connection = op.get_bind()
    of_webhooks = sa.select(AUDIT.c.id, AUDIT.c.detail).where(AUDIT.c.action.startswith("webhook."))
    for entry, detail in connection.execute(of_webhooks).all():
        url = detail.get("url") if isinstance(detail, dict) else None
        if isinstance(url, str) and url != shortened(url):
            change = sa.update(AUDIT).where(AUDIT.c.id == entry)
            connection.execute(change.values(detail={**detail, "url": shortened(url)}))


def shortened(url: str) -> str:
    """Scheme and host, as the API writes them."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def downgrade() -> None:
    """What was shortened stays so: nothing knows the rest any more."""
