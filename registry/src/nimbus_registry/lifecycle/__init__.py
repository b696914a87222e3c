"""From what is wanted and what is observed to what is done: states, the plan, and the tasks that carry it out."""
