"""Step-level continuous batching; knows neither HTTP nor text."""
