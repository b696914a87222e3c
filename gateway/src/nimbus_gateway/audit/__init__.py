"""Who did what: the record of every change that a person or an API key made."""
