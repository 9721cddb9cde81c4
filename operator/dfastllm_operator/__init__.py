"""dfastllm's Kubernetes operator: a DFastLLMService becomes a running, self-repairing service."""

__version__ = "0.1.0"
