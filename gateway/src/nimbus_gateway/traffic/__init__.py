"""How many requests each plugin answered, and how: a short history for people who look after Nimbus."""
