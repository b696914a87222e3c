"""What the gateway's FastAPI applications have in common."""
