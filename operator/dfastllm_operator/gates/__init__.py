"""What a rollout is judged by: the metrics, the bounds on them, and what one look amounts to.

Pure data, below both the analysis, which measures, and the state machine, which concludes.
"""
