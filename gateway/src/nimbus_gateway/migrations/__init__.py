"""Schema of the gateway's database, and how it is brought up to date at start."""
