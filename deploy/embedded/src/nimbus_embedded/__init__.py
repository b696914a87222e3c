"""Nimbus on one machine without an engine: registry and gateway under one supervisor."""
