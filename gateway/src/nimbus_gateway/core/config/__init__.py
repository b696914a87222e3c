"""Settings of plugins."""
