"""Facts about people and things, turned into JSON, tables and back."""

import json
from random import Random

from training.examples import Example, Task
from training.lexicon import CITIES, JOBS, KEYS, NAMES, any_word, pseudo_word
from training.phrasing import phrase

Value = str | int | bool


def _value(rng: Random) -> Value:
    kind = rng.random()
    if kind < 0.35:
        return rng.randint(0, 999)
    if kind < 0.42:
        return rng.random() < 0.5
    word = any_word(rng)
    return word.capitalize() if rng.random() < 0.2 else word


def record(rng: Random, low: int, high: int) -> dict[str, Value]:
    """Return a flat record whose keys are common names or, for a third, made up."""
    fields: dict[str, Value] = {}
    count = rng.randint(low, high)
    while len(fields) < count:
        key = rng.choice(KEYS) if rng.random() < 0.67 else pseudo_word(rng, 3, 7)
        fields[key] = _value(rng)
    return fields


def _plain(value: Value) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def to_json(rng: Random) -> Example:
    fields = record(rng, 1, 4)
    mark = rng.choice((" = ", ": ", "=", " is "))
    text = ", ".join(f"{key}{mark}{_plain(value)}" for key, value in fields.items())
    asks = ("Convert to JSON: {x}", "Write as JSON: {x}", "Make a JSON object with {x}",
            "JSON: {x}", "Turn this into JSON: {x}", "Give me JSON for {x}")  # fmt: skip
    answer = json.dumps(fields)
    return Example(phrase(rng, asks, x=text), answer, answer)


def _person(rng: Random) -> tuple[str, int, str, str]:
    name = rng.choice(NAMES) if rng.random() < 0.7 else pseudo_word(rng, 3, 6).capitalize()
    return name, rng.randint(5, 99), rng.choice(CITIES), rng.choice(JOBS)


def text_to_json(rng: Random) -> Example:
    name, age, city, job = _person(rng)
    sentences = (
        f"{name} is {age} years old and lives in {city}.",
        f"{name} lives in {city} and is {age} years old.",
        f"{name}, a {job}, lives in {city}.",
        f"{name} is a {job} and {age} years old.",
    )
    which = rng.randrange(4)
    facts: dict[str, Value] = {"name": name}
    if which in (0, 1, 3):
        facts["age"] = age
    if which in (0, 1, 2):
        facts["city"] = city
    if which in (2, 3):
        facts["job"] = job
    asks = ("Extract JSON: {x}", "Extract the facts as JSON: {x}",
            "Turn this sentence into JSON: {x}", "{x} Write that as JSON.")  # fmt: skip
    answer = json.dumps(facts)
    return Example(phrase(rng, asks, x=sentences[which]), answer, answer)


def json_list(rng: Random) -> Example:
    if rng.random() < 0.4:
        values: list[Value] = [rng.randint(0, 99) for _ in range(rng.randint(2, 8))]
    else:
        values = [any_word(rng) for _ in range(rng.randint(2, 6))]
    text = ", ".join(map(str, values))
    asks = ("Write as a JSON list: {x}", "Convert to a JSON array: {x}", "JSON list of {x}",
            "Make a JSON list: {x}", "Turn this into a JSON array: {x}")  # fmt: skip
    return Example(phrase(rng, asks, x=text), json.dumps(values), text)


def field(rng: Random) -> Example:
    fields = record(rng, 2, 4)
    key = rng.choice(list(fields))
    asks = ('What is the value of "{k}" in {x}?', "Get {k} from {x}", "{x} What is {k}?",
            "Read the field {k}: {x}")  # fmt: skip
    text = json.dumps(fields)
    answer = f"{key} is {_plain(fields[key])}"
    return Example(phrase(rng, asks, k=key, x=text), answer, text)


def set_field(rng: Random) -> Example:
    fields = record(rng, 2, 3)
    key = rng.choice(list(fields))
    new = _value(rng)
    asks = ("Set {k} to {v} in {x}", "Change {k} to {v}: {x}", "In {x}, set {k} to {v}.")
    text = json.dumps(fields)
    prompt = phrase(rng, asks, k=key, v=_plain(new), x=text)
    return Example(prompt, json.dumps(fields | {key: new}), text)


def _people(rng: Random, low: int, high: int) -> list[tuple[str, int, str]]:
    names = rng.sample(NAMES, rng.randint(low, high))
    return [(name, rng.randint(5, 99), rng.choice(CITIES)) for name in names]


def json_records(rng: Random) -> Example:
    people = _people(rng, 2, 3)
    text = "\n".join(f"{name}, {age}, {city}" for name, age, city in people)
    asks = ("Write as JSON lines with name, age, city:\n{x}",
            "Turn each line into a JSON object with name, age, city:\n{x}",
            "Make JSON records (name, age, city):\n{x}")  # fmt: skip
    rows = [json.dumps({"name": n, "age": a, "city": c}) for n, a, c in people]
    return Example(phrase(rng, asks, x=text), "\n".join(rows), text)


def table(rng: Random) -> Example:
    people = _people(rng, 2, 4)
    text = "\n".join(f"{name}, {age}, {city}" for name, age, city in people)
    asks = ("Make a table with name, age, city:\n{x}", "Format as a table:\n{x}",
            "Write this as a markdown table with name, age, city:\n{x}")  # fmt: skip
    rows = ["| name | age | city |", *(f"| {n} | {a} | {c} |" for n, a, c in people)]
    return Example(phrase(rng, asks, x=text), "\n".join(rows), text)


def lookup(rng: Random) -> Example:
    """Answer a question about one of several people."""
    people = _people(rng, 2, 5)
    name, age, city = rng.choice(people)
    text = ". ".join(f"{n} is {a} and lives in {c}" for n, a, c in people) + "."
    if rng.random() < 0.5:
        asks: tuple[str, ...] = ("{x} How old is {n}?", "{x} What is the age of {n}?")
        answer = f"{name} is {age} years old."
    else:
        asks = ("{x} Where does {n} live?", "{x} In which city does {n} live?")
        answer = f"{name} lives in {city}."
    return Example(phrase(rng, asks, x=text, n=name), answer, text)


TASKS = (
    Task("to_json", to_json, 2.0),
    Task("text_to_json", text_to_json),
    Task("json_list", json_list, 1.2),
    Task("json_field", field, 1.2),
    Task("json_set", set_field, 1.2),
    Task("json_records", json_records, 1.2),
    Task("table", table, 1.2),
    Task("lookup", lookup),
)
