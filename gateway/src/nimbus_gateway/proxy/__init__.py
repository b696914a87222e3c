"""The data plane: routes compiled from the registry's snapshot, and the reverse proxy."""
