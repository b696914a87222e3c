"""Backup and restore of one plugin as one file."""
