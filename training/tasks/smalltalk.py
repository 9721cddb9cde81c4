"""Greetings, questions about the model itself, and facts recalled from earlier turns."""

from collections.abc import Callable
from random import Random

from training.examples import Example, Task, Turn
from training.lexicon import ITEMS, NAMES, pseudo_word
from training.phrasing import phrase

GREETING = "Hello! I am dfastllm's tiny built-in model. Ask me for a small task."
IDENTITY = "I am dfastllm's tiny built-in diffusion model. I solve small tasks."
ABILITIES = "I can add, sort, spell, count, reverse and write JSON. Try: What is 27 + 48?"

INTENTS: dict[str, tuple[str, ...]] = {
    GREETING: (
        "Hello", "Hi", "Hey", "Hello!", "Hi!", "Hey!", "Hi there", "Hello there!", "Hey there",
        "Good morning", "Good morning!", "Good evening", "Good afternoon!", "Greetings", "Hiya",
        "Howdy", "Hello, model", "hello world", "Hi dfastllm", "Hello dfastllm!", "Hallo", "yo",
        "Hello, friend", "hi :)", "Hey you", "Hello, anybody there?", "good day", "hellooo",
    ),
    IDENTITY: (
        "Who are you?", "What are you?", "What is your name?", "What's your name?",
        "Tell me about yourself.", "Introduce yourself.", "Which model are you?", "Who is this?",
        "What model is this?", "Are you ChatGPT?", "Are you a language model?", "Are you an AI?",
        "Are you a robot?", "Are you human?", "What kind of model are you?", "Say who you are.",
        "Who am I talking to?", "Do you have a name?", "What is dfastllm?", "Are you a bot?",
        "Which model is this?", "Describe yourself.", "Hello, who are you?", "Hi, what are you?",
        "Are you GPT?", "Are you LLaDA?", "What should I call you?", "And who are you?",
    ),
    ABILITIES: (
        "What can you do?", "Help", "Help!", "help me", "What do you know?", "What can I ask you?",
        "What are you good at?", "What tasks can you do?", "How can you help me?",
        "Give me an example.", "What can I ask?", "Show me what you can do.", "Can you help me?",
        "How do I use you?", "List your skills.", "What are your abilities?", "Examples?",
        "What are you able to do?", "Which tasks do you know?", "What should I ask you?",
        "Hello, what can you do?", "I need help", "What else can you do?",
    ),
    "I was trained from scratch on small generated tasks for dfastllm.": (
        "Who made you?", "Who created you?", "Who trained you?", "Who built you?",
        "How were you trained?", "Where do you come from?", "Who is your maker?",
        "What were you trained on?", "How were you made?", "Who developed you?",
        "What is your training data?",
    ),
    "I start from masked words and fill in many of them at once.": (
        "How do you work?", "What is a diffusion model?", "What is a diffusion language model?",
        "How do you write?", "How do you generate text?", "What is masked diffusion?",
        "Explain how you work.", "How does diffusion work?", "Why are you fast?",
        "Why are you so fast?", "What does diffusion mean?", "How do diffusion models work?",
    ),
    "About seven million parameters, small enough for a laptop.": (
        "How big are you?", "How many parameters do you have?", "How large are you?",
        "What is your size?", "How small are you?", "How many weights do you have?",
    ),
    "I am fine, thank you. What can I do for you?": (
        "How are you?", "How are you doing?", "How is it going?", "Hello, how are you?",
        "Hi, how are you?", "Are you okay?", "What's up?", "How do you do?", "Hey, what's up?",
        "How are you today?", "Hey, how's it going?",
    ),
    "You are welcome!": (
        "Thanks", "Thank you", "Thanks!", "Thank you!", "Thank you very much.", "Thanks a lot",
        "thx", "Great, thanks!", "Thanks, that was quick", "Perfect, thank you", "Good job!",
        "Well done", "Nice!", "Great", "Cool", "ok thanks", "Awesome",
    ),
    "Goodbye!": (
        "Bye", "Goodbye", "Bye!", "See you", "See you later", "Good night", "Bye bye",
        "Good bye!", "Farewell", "I have to go", "Talk to you later",
    ),
    "Why did the mask smile? It knew what was behind it.": (
        "Tell me a joke.", "Tell a joke", "Make me laugh.", "Do you know a joke?",
        "Say something funny.", "Another joke", "A joke please", "Know any jokes?",
    ),
}  # fmt: skip
_REPLIES = tuple(INTENTS)
_REPLY_WEIGHTS = (3, 3, 2.5, 1, 1, 0.6, 1, 1, 0.8, 0.8)


def small_talk(rng: Random) -> Example:
    reply = rng.choices(_REPLIES, _REPLY_WEIGHTS)[0]
    return Example(phrase(rng, INTENTS[reply]), reply)


def recall(rng: Random) -> Example:
    return recall_past(rng, small_talk)


def recall_past(rng: Random, small_talk: Callable[[Random], Example]) -> Example:
    """Ask for something that the user said a turn or two ago, at times with other talk since."""
    name = rng.choice(NAMES) if rng.random() < 0.6 else pseudo_word(rng, 3, 7).capitalize()
    item, number = rng.choice(ITEMS), rng.randint(0, 999)
    said, noted, asks, answer = rng.choice(
        (
            (("My name is {n}.", "I am {n}.", "Call me {n}."), f"Hello {name}!",
             ("What is my name?", "Who am I?", "Do you remember my name?"),
             f"Your name is {name}."),
            (("Remember the word {i}.", "The secret word is {i}."), f"I remember {item}.",
             ("What is the word?", "What was the word?", "Tell me the word."),
             f"The word is {item}."),
            (("Remember the number {k}.", "My number is {k}."), f"I remember {number}.",
             ("What is the number?", "What was my number?", "Tell me the number."),
             f"The number is {number}."),
        )
    )  # fmt: skip
    first = phrase(rng, said, n=name, i=item, k=number)
    if rng.random() < 0.25:
        return Example(first, noted, f"{name}/{item}/{number}")
    turns = [Turn(first, noted)]
    if rng.random() < 0.5:
        between = small_talk(rng)
        turns.append(Turn(between.prompt, between.answer))
    prompt = phrase(rng, asks)
    return Example(prompt, answer, f"{name}/{item}/{number}", history=tuple(turns))


TASKS = (
    Task("small_talk", small_talk, 4.0),
    Task("recall", recall, 1.2),
)
