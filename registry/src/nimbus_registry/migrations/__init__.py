"""Schema migrations (Alembic), inside the package so that an installed wheel carries them."""
