"""Which plugins there are: found in folders, validated, and matched with those that are known."""
