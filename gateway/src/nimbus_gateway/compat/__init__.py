"""Compatibility ports: routes of a plugin at the root of a port of its own, for clients of another product."""
