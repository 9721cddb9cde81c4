"""All stories of canary rollouts: each module enters its own into the book."""

from canary_stories import coming_back, faults, going_out, names_and_room, sources, ways_out
from canary_stories.book import STORIES

__all__ = ["STORIES", "coming_back", "faults", "going_out", "names_and_room", "sources", "ways_out"]
