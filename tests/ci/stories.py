"""The end-to-end stories in the order of their worth to CI, and how long each may take.

`seconds` are those of a run on two cores (`docs/log.md`), rounded up, the start of each included.
"""

from dataclasses import dataclass

FIRST = "test_one_small_yaml_ends_in_tokens_through_the_gateway"
JUDGED = "good_change or more_forwards"  # of canaries: one is promoted, one is rolled back
SLOWER = 1.5  # how much slower than measured a machine may be


@dataclass(frozen=True, slots=True)
class Story:
    """`tests` is below `tests/e2e`, as pytest takes it; `options` are for pytest too."""

    tests: str
    seconds: float
    options: tuple[str, ...] = ()
    needs_none_up: bool = False  # a cluster of its own, of which there is one at a time

    @property
    def fits_in_s(self) -> float:
        return self.seconds * SLOWER


STORIES = (
    Story(f"test_minimal.py::{FIRST}", 30),
    Story("test_change.py", 60),
    Story("test_wrong.py", 75),
    Story("test_canary.py", 200, ("-k", JUDGED)),
    Story("test_keys.py", 45),
    Story("test_faults.py", 360),
    Story("test_canary.py", 300, ("-k", f"not ({JUDGED})")),
    Story("test_canary_faults.py", 135),
    Story("test_scale.py", 60),
    Story("test_minimal.py", 75, ("-k", f"not {FIRST}")),
    Story("test_delete.py", 60),
    Story("test_pvc.py", 60),
    Story("test_protocols.py", 30),
    Story("test_install.py", 75),
    Story("test_cluster.py", 120),
    Story("test_images.py", 120),
    Story("test_leftovers.py", 15, needs_none_up=True),
    Story("test_demo.py", 90, needs_none_up=True),
)
