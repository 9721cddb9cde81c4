"""What a row keeps of its verifier, in host numbers."""

from dataclasses import dataclass


@dataclass(slots=True)
class Verification:
    """The verifier's side of one row.

    `pages` are its K/V pages; those of positions [0, `kept`) are of the row's own tokens. `passes`,
    `drafted` and `accepted` are counts of `RequestStats`.
    """

    pages: tuple[int, ...] = ()
    kept: int = 0
    passes: int = 0
    drafted: int = 0
    accepted: int = 0

    def crop(self, length: int) -> None:
        """Forget what lies right of the row's `length` tokens: draft that was not accepted.

        Nothing else is cut when all of it was: its last token was never fed, and is the first of
        the next feed.
        """
        self.kept = min(self.kept, length)
