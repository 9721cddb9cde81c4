"""The words that tasks are made of, and pseudo-words for text that no list contains."""

# ruff: noqa: SIM905 - word lists read best as text

from random import Random

CATEGORIES: dict[str, tuple[str, ...]] = {
    "fruits": tuple(
        "apple pear plum fig grape lemon mango melon peach cherry banana kiwi lime papaya".split()
    ),
    "animals": tuple(
        "cat dog fox owl bear wolf horse mouse tiger zebra goat duck rabbit snake camel".split()
    ),
    "colors": tuple(
        "red blue green black white pink brown gray orange purple yellow gold violet".split()
    ),
    "tools": tuple("hammer saw drill nail wrench pliers axe shovel rake ladder brush file".split()),
    "vegetables": tuple(
        "onion carrot potato bean pea leek garlic tomato corn radish celery cabbage".split()
    ),
    "instruments": tuple(
        "piano violin drum flute guitar harp cello trumpet organ banjo tuba oboe".split()
    ),
    "vehicles": tuple("car bus train bike boat truck plane tram ship van taxi rocket".split()),
    "clothes": tuple("hat coat sock shoe shirt scarf glove belt skirt dress boot cap".split()),
}
ITEMS: tuple[str, ...] = tuple(word for words in CATEGORIES.values() for word in words)
NAMES: tuple[str, ...] = tuple(
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Mia Noah Olga Paul "
    "Rosa Sam Tina Uma Victor Wendy Yara Zoe".split()
)
CITIES: tuple[str, ...] = tuple(
    "Paris Berlin Rome Madrid London Oslo Vienna Prague Dublin Lisbon Tokyo Cairo Lima "
    "Delhi Boston Athens".split()
)
JOBS: tuple[str, ...] = tuple(
    "doctor teacher baker pilot nurse farmer painter singer writer driver cook lawyer".split()
)
DAYS: tuple[str, ...] = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS: tuple[str, ...] = tuple(
    "January February March April May June July August September October November December".split()
)
CAPITALS: dict[str, str] = dict(
    pair.split(":")
    for pair in (
        "France:Paris Germany:Berlin Italy:Rome Spain:Madrid England:London Norway:Oslo "
        "Austria:Vienna Ireland:Dublin Portugal:Lisbon Japan:Tokyo Egypt:Cairo Peru:Lima "
        "India:Delhi Greece:Athens Poland:Warsaw Sweden:Stockholm Finland:Helsinki "
        "Denmark:Copenhagen China:Beijing Russia:Moscow Canada:Ottawa Cuba:Havana "
        "Hungary:Budapest Belgium:Brussels"
    ).split()
)
KEYS: tuple[str, ...] = tuple(
    "name age city job color size price id status code title level owner year".split()
)

_CONSONANTS = "bcdfghjklmnpqrstvwxyz"
_VOWELS = "aeiou"
_COMMON = "etaoinshrdlucmfwypvbgk"


def pseudo_word(rng: Random, low: int = 3, high: int = 9) -> str:
    """Return a made-up lower-case word; a quarter of them cannot even be pronounced."""
    length = rng.randint(low, high)
    if rng.random() < 0.25:
        return "".join(rng.choices(_COMMON + "jqxz", k=length))
    start = rng.random() < 0.7
    return "".join(
        rng.choice(_CONSONANTS if (index % 2 == 0) == start else _VOWELS) for index in range(length)
    )


def any_word(rng: Random) -> str:
    """Return a listed word or, as often, a made-up one."""
    return rng.choice(ITEMS) if rng.random() < 0.5 else pseudo_word(rng)


def distinct_words(rng: Random, count: int, made_up: float = 0.2) -> list[str]:
    """Return `count` different words; with probability `made_up` none of them is listed."""
    luck = rng.random()
    if luck < 0.06 and count <= len(CITIES):
        return rng.sample(rng.choice((NAMES, CITIES)), count)
    if luck >= made_up:
        return rng.sample(ITEMS, count)
    words: dict[str, None] = {}
    while len(words) < count:
        words[pseudo_word(rng, 3, 6)] = None
    return list(words)
