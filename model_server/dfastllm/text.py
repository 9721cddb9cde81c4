"""Committed tokens to the text a reader may see, cut exactly at a stop string.

Text leaves only when no later token can change it: neither half a character nor what may turn out
to be the beginning of a stop string. Where a stop string falls does not depend on how the tokens
were split into calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dfastllm.detokenize import Detokenizer


class StreamingCodec(Protocol):
    """The part of `Tokenizer` that text needs."""

    def detokenizer(self, *, skip_special_tokens: bool = True) -> Detokenizer: ...


@dataclass(frozen=True, slots=True)
class TextUpdate:
    """What one call made final.

    `consumed_tokens` counts the tokens of this call that belong to the answer: all of them, or
    once stopped those up to and including the one that completed the stop string.
    """

    text: str
    consumed_tokens: int
    stopped: bool


class TextAssembler:
    """One answer's text. Time is linear in the tokens and characters fed, however they are split.

    The cut is at the earliest occurrence of any of `stop`, which is never shown. Where a stop
    string inside another, longer one is met first, the decision waits until the longer one is
    complete or impossible. Empty stop strings are ignored.
    """

    def __init__(self, tokenizer: StreamingCodec, stop: tuple[str, ...], skip_special_tokens: bool):
        self._detokenizer = tokenizer.detokenizer(skip_special_tokens=skip_special_tokens)
        self._matchers = [_StopMatcher(text) for text in stop if text]
        self._held = ""  # final, not yet handed out
        self._n_out = 0  # characters handed out
        self._n_seen = 0  # characters handed out or held
        self._n_tokens = 0
        self._cut: int | None = None  # where the earliest complete stop string begins
        self._cut_tokens = 0  # tokens fed when it became complete
        self._stopped = False

    def feed(self, tokens: Sequence[int], final: bool) -> TextUpdate:
        """Text made final by `tokens`; `final` says that none will follow and releases the rest."""
        if self._stopped:
            return TextUpdate("", 0, True)
        before = self._n_tokens
        for token in tokens:
            self._n_tokens += 1
            if self._take(self._detokenizer.push(token)):
                break
        if final and not self._stopped:
            self._take(self._detokenizer.flush())
            self._stopped = self._cut is not None
        text = self._release(everything=final or self._stopped)
        if self._stopped:
            return TextUpdate(text, max(0, self._cut_tokens - before), True)
        return TextUpdate(text, len(tokens), False)

    def _take(self, text: str) -> bool:
        """Add final text; True once the place of the cut is certain."""
        self._held += text
        if not self._matchers:
            self._n_seen += len(text)
            return False
        for character in text:
            self._n_seen += 1
            for matcher in self._matchers:
                begin = matcher.advance(character, self._n_seen)
                if begin is not None and (self._cut is None or begin < self._cut):
                    self._cut, self._cut_tokens = begin, self._n_tokens
            if self._cut is not None and self._undecided() >= self._cut:
                self._stopped = True
                return True
        return False

    def _undecided(self) -> int:
        """Where the earliest stop string that may still be completed begins."""
        return min((self._n_seen - m.matched for m in self._matchers), default=self._n_seen)

    def _release(self, *, everything: bool) -> str:
        end = self._n_seen if self._cut is None else self._cut
        if not everything:
            end = min(end, self._undecided())
        text = self._held[: end - self._n_out]
        self._held = self._held[len(text) :]
        self._n_out += len(text)
        return text


class _StopMatcher:
    """Knuth-Morris-Pratt: how much of one stop string the text seen so far ends with."""

    def __init__(self, text: str):
        self._text = text
        self._fallback = [0] * len(text)  # longest proper border of text[: i + 1]
        for i in range(1, len(text)):
            self._fallback[i] = self._extend(self._fallback[i - 1], text[i])
        self.matched = 0
        self._complete = False

    def advance(self, character: str, n_seen: int) -> int | None:
        """Where the first occurrence begins when `character` completes it (`n_seen` includes it).

        Later occurrences are not reported: none can begin earlier.
        """
        if self._complete:
            return None
        self.matched = self._extend(self.matched, character)
        if self.matched < len(self._text):
            return None
        self._complete, self.matched = True, 0
        return n_seen - len(self._text)

    def _extend(self, matched: int, character: str) -> int:
        while matched and self._text[matched] != character:
            matched = self._fallback[matched - 1]
        return matched + (self._text[matched] == character)
