"""Which masked positions to commit after a forward, and to which tokens."""
