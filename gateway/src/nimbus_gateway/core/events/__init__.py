"""Events: kept with the change they tell of, delivered at least once, in order for each subscriber."""
