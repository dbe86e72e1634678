"""Results that other tools wrote, as items, recordings and a roster: one file a format."""
