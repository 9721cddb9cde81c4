"""Model checkpoints: what they are, where they lie, how they are loaded and run."""
