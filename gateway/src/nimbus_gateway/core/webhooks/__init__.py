"""Events for addresses outside, signed by Standard Webhooks."""
