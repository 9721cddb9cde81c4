"""Letters of one string: spell, reverse, count, change case, copy."""

from random import Random

from training.examples import Example, Task
from training.lexicon import CATEGORIES, any_word, pseudo_word
from training.phrasing import phrase


def _quoted(rng: Random, word: str) -> str:
    """Quote the word most of the time; people often do not."""
    return f'"{word}"' if rng.random() < 0.65 else word


def _words(rng: Random, low: int, high: int) -> list[str]:
    return [any_word(rng) for _ in range(rng.randint(low, high))]


def spell(rng: Random) -> Example:
    word = any_word(rng)
    asks = ("Spell {w}.", "Spell the word {w}", "How do you spell {w}?",
            "Write {w} letter by letter.")  # fmt: skip
    return Example(phrase(rng, asks, w=_quoted(rng, word)), "-".join(word), word)


def reverse_string(rng: Random) -> Example:
    word = any_word(rng)
    asks = ("Reverse {w}.", "Reverse the word {w}", "Reverse the string {w}.",
            "Write {w} backwards.", "Spell {w} backwards")  # fmt: skip
    return Example(phrase(rng, asks, w=_quoted(rng, word)), word[::-1], word)


def count_letter(rng: Random) -> Example:
    word = any_word(rng)
    letter = rng.choice(word) if rng.random() < 0.75 else rng.choice("aeioutnrs")
    if rng.random() < 0.3:
        spot = rng.randrange(len(word))
        word = word[:spot] + letter + word[spot:]
    asks = ('How many times does "{c}" appear in {w}?', "Count the letter {c} in {w}.",
            'How many "{c}" are in {w}?', "How many {c}'s are in {w}?")  # fmt: skip
    count = word.count(letter)
    times = "once" if count == 1 else f"{count} times"
    prompt = phrase(rng, asks, c=letter, w=_quoted(rng, word))
    # Marking each hit first turns the count into something that can be read off the answer.
    marked = "-".join(char.upper() if char == letter else char for char in word)
    return Example(prompt, f'{marked}: "{letter}" appears {times}.', word)


def word_length(rng: Random) -> Example:
    word = any_word(rng)
    asks = ("How many letters does {w} have?", "How many letters are in {w}?",
            "How long is the word {w}?", "Count the letters of {w}.")  # fmt: skip
    answer = f'"{word}" has {len(word)} letters.'
    return Example(phrase(rng, asks, w=_quoted(rng, word)), answer, word)


def _case(rng: Random) -> str:
    return " ".join(_words(rng, 1, 3))


def upper(rng: Random) -> Example:
    text = _case(rng)
    asks = ("Uppercase {w}", "Write {w} in upper case.", "Convert {w} to uppercase.",
            "Write in capital letters: {w}", "Uppercase: {w}")  # fmt: skip
    return Example(phrase(rng, asks, w=_quoted(rng, text)), text.upper(), text)


def lower(rng: Random) -> Example:
    text = _case(rng)
    asks = ("Lowercase {w}", "Write {w} in lower case.", "Convert {w} to lowercase.",
            "Write in small letters: {w}", "Lowercase: {w}")  # fmt: skip
    return Example(phrase(rng, asks, w=_quoted(rng, text.upper())), text, text)


def copy(rng: Random) -> Example:
    """Repeat a string that may hold words, digits and marks."""
    words = _words(rng, 1, 9)
    if rng.random() < 0.4:
        words.insert(rng.randrange(len(words) + 1), str(rng.randint(0, 9999)))
    if rng.random() < 0.2:
        words[0] = words[0].capitalize()
    text = " ".join(words)
    asks = ("Copy: {w}", "Repeat after me: {w}", "Say {q}.", "Repeat {q}", "Copy this text: {w}",
            "Say exactly: {w}", "Echo {q}")  # fmt: skip
    return Example(phrase(rng, asks, w=text, q=f'"{text}"'), text, text)


def repeat(rng: Random) -> Example:
    word, times = any_word(rng), rng.randint(2, 8)
    asks = ("Say {w} {n} times.", "Repeat {w} {n} times.", "Write {w} {n} times",
            "Write the word {w} {n} times.")  # fmt: skip
    answer = " ".join([word] * times)
    return Example(phrase(rng, asks, w=_quoted(rng, word), n=times), answer, word)


def acronym(rng: Random) -> Example:
    words = _words(rng, 2, 5)
    asks = ("Make an acronym of: {x}", "What is the acronym of {x}?",
            "Write the first letters of: {x}", "Acronym for {x}")  # fmt: skip
    text = " ".join(words)
    return Example(phrase(rng, asks, x=text), "".join(w[0] for w in words).upper(), text)


def join(rng: Random) -> Example:
    words = _words(rng, 2, 5)
    name, mark = rng.choice((("hyphens", "-"), ("underscores", "_"), ("slashes", "/"),
                             ("dots", ".")))  # fmt: skip
    asks = ("Join with {m}: {x}", "Join these words with {m}: {x}",
            "Write {x} with {m} between the words.")  # fmt: skip
    text = " ".join(words)
    return Example(phrase(rng, asks, m=name, x=text), mark.join(words), text)


def category(rng: Random) -> Example:
    """Say which of the known kinds a word is; closed, since the words are few."""
    kind = rng.choice(list(CATEGORIES))
    word = rng.choice(CATEGORIES[kind])
    asks = ("What kind of thing is {w}?", "Which category does {w} belong to?",
            "Classify the word {w}.", "What category is {w}?")  # fmt: skip
    return Example(phrase(rng, asks, w=_quoted(rng, word)), f'"{word}" is one of the {kind}.')


def unquoted_pseudo(rng: Random) -> Example:
    """Spell long made-up words, the hardest strings there are."""
    word = pseudo_word(rng, 7, 14)
    asks = ("Spell {w}.", "Spell the word {w}", "Write {w} letter by letter.")
    return Example(phrase(rng, asks, w=_quoted(rng, word)), "-".join(word), word)


TASKS = (
    Task("spell", spell, 1.5),
    Task("spell_long", unquoted_pseudo, 0.7),
    Task("reverse_string", reverse_string, 2.0),
    Task("count_letter", count_letter, 2.0),
    Task("word_length", word_length, 1.3),
    Task("upper", upper, 1.2),
    Task("lower", lower, 1.0),
    Task("copy", copy, 1.3),
    Task("repeat", repeat),
    Task("acronym", acronym, 0.8),
    Task("join", join, 0.8),
    Task("category", category, 0.5),
)
