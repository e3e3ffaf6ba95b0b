"""What a run's difficulties were: over time, beside errors, and as a way to find wrong labels."""
