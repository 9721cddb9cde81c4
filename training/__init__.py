"""Trains the tiny built-in masked diffusion model on tasks that a program can check."""
