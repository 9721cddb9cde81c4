"""dfastllm's Kubernetes operator. So far only its name and place: the reconciler comes next."""

__version__ = "0.1.0"
