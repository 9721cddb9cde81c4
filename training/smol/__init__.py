"""Adapts SmolLM2-135M to masked diffusion on conversations that the base itself writes."""
