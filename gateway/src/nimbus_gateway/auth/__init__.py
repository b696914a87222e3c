"""Who calls: accounts, sessions, API keys, and the identity that plugins are told."""
