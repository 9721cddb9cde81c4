"""Trains the tiny model's verifier: a small causal model that reads drafts from left to right."""
