"""`dfastllm-operator ctl`, also `kubectl dfastllm`: rollouts seen and steered by people.

It reads the CR and its revisions with the user's own credentials, and gives orders by annotation;
it knows nothing of the operator but what stands in status.
"""
