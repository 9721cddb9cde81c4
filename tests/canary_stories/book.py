"""The stories by name. Each is told of one service, whose name is the story's."""

from collections.abc import Callable

from support.scene import Scene

Story = Callable[[Scene], None]
STORIES: dict[str, Story] = {}


def story(name: str) -> Callable[[Story], Story]:
    """Enter it; `name` is a DNS label that is no part of another's, to its left or right."""

    def enter(tell: Story) -> Story:
        for one, other in [(name, other) for other in STORIES]:
            assert f"-{one}-" not in f"-{other}-", f"{one} is in {other}"
            assert f"-{other}-" not in f"-{one}-", f"{other} is in {one}"
        STORIES[name] = tell
        return tell

    return enter
