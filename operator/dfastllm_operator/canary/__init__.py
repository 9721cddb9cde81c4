"""Rollouts gated on metrics: what is kept of one, and the state machine that moves it.

Pure. Nothing in here reads a cluster, a clock or a metric, or writes anything.
"""
