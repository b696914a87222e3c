"""What the registry keeps: its tables, the queries on them and the ledger that answers from memory."""
