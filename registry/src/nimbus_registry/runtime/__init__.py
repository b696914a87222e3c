"""Runtimes: the ways a plugin is run. Only this package talks to an engine."""
