"""Between the state machine of a rollout and a cluster: what it is asked, and what it wants done.

Pure: objects as the API server gives them in, the words of `canary` out, and back.
"""
