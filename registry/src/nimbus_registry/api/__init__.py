"""The registry's HTTP API, on the control network only."""
