"""Sums, products and chains of steps: one right answer each, short or several blocks long."""

from random import Random

from training.examples import Example, Task
from training.lexicon import ITEMS, NAMES
from training.phrasing import phrase

_ADD = (
    "What is {a} + {b}?", "Compute {a} + {b}.", "{a} + {b}", "{a}+{b}", "{a} + {b} = ?",
    "Add {a} and {b}.", "What is {a} plus {b}?", "How much is {a} + {b}?", "{a} plus {b}",
    "Calculate {a} + {b}.", "What is the sum of {a} and {b}?", "{a}+{b}=", "What's {a} + {b}?",
    "what is {a}+{b}?", "Solve {a} + {b}", "Tell me what {a} + {b} is.",
)  # fmt: skip
_SUB = (
    "What is {a} - {b}?", "Compute {a} - {b}.", "{a} - {b}", "{a}-{b}", "{a} - {b} = ?",
    "Subtract {b} from {a}.", "What is {a} minus {b}?", "How much is {a} - {b}?",
    "{a} minus {b}", "Calculate {a} - {b}.", "what is {a}-{b}?", "What's {a} - {b}?",
)  # fmt: skip
_MUL = (
    "What is {a} * {b}?", "Compute {a} * {b}.", "{a} * {b}", "{a}*{b}", "{a} x {b}",
    "What is {a} times {b}?", "How much is {a} * {b}?", "{a} times {b}", "Multiply {a} by {b}.",
    "Calculate {a} * {b}.", "what is {a}*{b}?", "What's {a} x {b}?", "{a} * {b} = ?",
)  # fmt: skip
_DIV = (
    "What is {a} / {b}?", "Compute {a} / {b}.", "{a} / {b}", "{a}/{b}", "Divide {a} by {b}.",
    "What is {a} divided by {b}?", "How much is {a} / {b}?", "{a} divided by {b}",
    "Calculate {a} / {b}.", "what is {a}/{b}?",
)  # fmt: skip
_SUM_OF = (
    "What is {x}?", "Compute {x}.", "{x}", "Calculate {x}.", "How much is {x}?", "{x} = ?",
)  # fmt: skip
_STEPS = (
    "Add step by step: {x}", "Add these numbers one by one: {x}.",
    "Show the running sum of {x}.", "Sum step by step: {x}.",
)  # fmt: skip


def _number(rng: Random, most_digits: int) -> int:
    digits = rng.randint(1, most_digits)
    return rng.randint(10 ** (digits - 1) if digits > 1 else 0, 10**digits - 1)


def add(rng: Random) -> Example:
    a, b = _number(rng, 4), _number(rng, 4)
    if rng.random() < 0.3:
        a, b = _number(rng, 2), _number(rng, 2)
    low, high = sorted((a, b))
    content = f"{low}+{high}" if high > 10 else ""
    return Example(phrase(rng, _ADD, a=a, b=b), f"{a} + {b} = {a + b}", content)


def sub(rng: Random) -> Example:
    a, b = _number(rng, 4), _number(rng, 4)
    if a < b and rng.random() < 0.8:
        a, b = b, a
    content = f"{a}-{b}" if max(a, b) > 10 else ""
    return Example(phrase(rng, _SUB, a=a, b=b), f"{a} - {b} = {a - b}", content)


def mul(rng: Random) -> Example:
    a, b = rng.randint(0, 99), rng.randint(0, 12)
    if a > 12 and b > 9:
        b = rng.randint(2, 9)
    if rng.random() < 0.5:
        a, b = b, a
    content = f"{a}*{b}" if max(a, b) > 12 else ""
    return Example(phrase(rng, _MUL, a=a, b=b), f"{a} * {b} = {a * b}", content)


def div(rng: Random) -> Example:
    quotient, b = rng.randint(1, 30), rng.randint(2, 12)
    a = quotient * b
    content = f"{a}/{b}" if quotient > 12 else ""
    return Example(phrase(rng, _DIV, a=a, b=b), f"{a} / {b} = {quotient}", content)


def mul_long(rng: Random) -> Example:
    a, b = rng.randint(13, 99), rng.randint(13, 99)
    tens, ones = b // 10 * 10, b % 10
    lines = [f"{a} * {b} = {a} * {tens} + {a} * {ones}", f"= {a * tens} + {a * ones}"]
    answer = "\n".join([*lines, f"= {a * b}"])
    return Example(phrase(rng, _MUL, a=a, b=b), answer, f"{a}*{b}")


def sum_direct(rng: Random) -> Example:
    terms = [_number(rng, 2) for _ in range(3)]
    sums = " + ".join(map(str, terms))
    return Example(phrase(rng, _SUM_OF, x=sums), f"{sums} = {sum(terms)}", sums)


def sum_steps(rng: Random) -> Example:
    terms = [_number(rng, 2) for _ in range(rng.randint(3, 7))]
    lines, total = [], terms[0]
    for term in terms[1:]:
        lines.append(f"{total} + {term} = {total + term}")
        total += term
    listed = ", ".join(map(str, terms))
    # A long sum is worked out step by step without being asked to.
    if len(terms) > 3 and rng.random() < 0.4:
        prompt = phrase(rng, _SUM_OF, x=" + ".join(map(str, terms)))
    else:
        prompt = phrase(rng, _STEPS, x=listed)
    return Example(prompt, "\n".join(lines), listed)


def chain(rng: Random) -> Example:
    """Follow spoken steps, each on the last result."""
    value = start = rng.randint(1, 60)
    orders, lines = [], []
    for _ in range(rng.randint(2, 6)):
        kind, by = rng.randrange(4), rng.randint(2, 40)
        if kind == 1 and by <= value:
            order, line, value = f"subtract {by}", f"{value} - {by} = {value - by}", value - by
        elif kind == 2 and value <= 100:
            order, line, value = "double it", f"{value} * 2 = {value * 2}", value * 2
        elif kind == 3 and value <= 60:
            order, line, value = "triple it", f"{value} * 3 = {value * 3}", value * 3
        else:
            order, line, value = f"add {by}", f"{value} + {by} = {value + by}", value + by
        orders.append(order)
        lines.append(line)
    steps = ", ".join(orders)
    templates = ("Start with {s}, then {x}.", "Take {s}, {x}.", "Begin with {s}: {x}.")
    prompt = phrase(rng, templates, s=start, x=steps)
    return Example(prompt, "\n".join([*lines, f"The result is {value}."]), f"{start}:{steps}")


def word_problem(rng: Random) -> Example:
    """Tell of things bought, found and given away, one to four times."""
    name, item = rng.choice(NAMES), rng.choice(ITEMS)
    start = value = rng.randint(2, 60)
    tale, lines = [], []
    for _ in range(rng.randint(1, 4)):
        by = rng.randint(1, 30)
        if by < value and rng.random() < 0.5:
            tale.append(rng.choice(("gives away {0}", "loses {0}", "sells {0}")).format(by))
            lines.append(f"{value} - {by} = {value - by}")
            value -= by
        else:
            tale.append(rng.choice(("buys {0} more", "gets {0} more", "finds {0}")).format(by))
            lines.append(f"{value} + {by} = {value + by}")
            value += by
    happened = ", then ".join(tale)
    templates = (
        "{n} has {s} {i}s, then {t}. How many {i}s does {n} have?",
        "{n} has {s} {i}s and {t}. How many {i}s are left?",
        "{n} starts with {s} {i}s, then {t}. How many {i}s does {n} have now?",
    )
    prompt = phrase(rng, templates, n=name, s=start, i=item, t=happened)
    answer = "\n".join([*lines, f"{name} has {value} {item}s."])
    return Example(prompt, answer, f"{start}:{happened}")


def compare(rng: Random) -> Example:
    a, b = _number(rng, 3), _number(rng, 3)
    if rng.random() < 0.3:
        b = max(0, a + rng.choice((-10, -9, -1, 1, 9, 10)))
    b += a == b
    larger, smaller = max(a, b), min(a, b)
    if rng.random() < 0.5:
        asks: tuple[str, ...] = (
            "Which is larger, {a} or {b}?", "Which number is bigger: {a} or {b}?",
            "What is greater, {a} or {b}?", "Is {a} or {b} larger?",
        )  # fmt: skip
        answer = f"{larger} is larger than {smaller}."
    else:
        asks = (
            "Which is smaller, {a} or {b}?", "Which number is smaller: {a} or {b}?",
            "What is less, {a} or {b}?", "Is {a} or {b} smaller?",
        )  # fmt: skip
        answer = f"{smaller} is smaller than {larger}."
    return Example(phrase(rng, asks, a=a, b=b), answer, f"{a},{b}")


def parity(rng: Random) -> Example:
    n = _number(rng, 4)
    asks = ("Is {n} even or odd?", "Is the number {n} odd or even?", "{n}: even or odd?",
            "Tell me whether {n} is even or odd.")  # fmt: skip
    answer = f"{n} is {'odd' if n % 2 else 'even'}."
    return Example(phrase(rng, asks, n=n), answer, str(n) if n >= 100 else "")


TASKS = (
    Task("add", add, 3.0),
    Task("sub", sub, 3.0),
    Task("mul", mul, 2.0),
    Task("div", div, 1.0),
    Task("mul_long", mul_long, 3.0),
    Task("sum_direct", sum_direct, 1.5),
    Task("sum_steps", sum_steps, 2.0),
    Task("chain", chain, 2.5),
    Task("word_problem", word_problem, 2.0),
    Task("compare", compare, 1.0),
    Task("parity", parity, 0.7),
)
