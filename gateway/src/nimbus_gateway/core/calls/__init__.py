"""Calls from plugin to plugin, through the gateway."""
