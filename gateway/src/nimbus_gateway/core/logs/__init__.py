"""Structured log lines of plugins."""
