"""The core that plugins call back into, one folder per domain."""
