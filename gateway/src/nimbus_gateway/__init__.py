"""Nimbus."""
