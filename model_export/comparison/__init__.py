"""Arms of an experiment on the same seeds, budget and data: trained side by side, measured, and told apart or not."""
