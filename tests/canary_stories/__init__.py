"""What may happen to canary rollouts, as told by tests of the operator on a real control plane."""

from canary_stories import coming_back, faults, going_out, names_and_room, sources, ways_out
from canary_stories.book import STORIES, Story

__all__ = [
    "STORIES",
    "Story",
    "coming_back",
    "faults",
    "going_out",
    "names_and_room",
    "sources",
    "ways_out",
]
