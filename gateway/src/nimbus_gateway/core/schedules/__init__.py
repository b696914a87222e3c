"""Jobs of plugins that are started at the times of a cron line."""
