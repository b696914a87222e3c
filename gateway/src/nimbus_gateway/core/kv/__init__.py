"""A small store of JSON values for each plugin."""
