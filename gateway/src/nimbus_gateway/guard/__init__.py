"""What is refused before anything looks at a request: framing, Host, path, limits, timeouts."""
