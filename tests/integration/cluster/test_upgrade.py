"""Being written by engineer H."""
