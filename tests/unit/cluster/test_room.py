from pathlib import Path

import pytest

from cluster import room
from cluster.debian import Unfit


def test_what_is_needed_and_what_there_is_are_said_also_of_a_folder_to_be_made(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "to" / "be" / "made"
    room.require(folder, 1, "nothing much")
    with pytest.raises(Unfit, match=r"^a lot may take 1000000 GB, .*made has [\d.]+ GB free$"):
        room.require(folder, 10**15, "a lot")
