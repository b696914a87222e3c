"""Events on their way to the dashboard."""
