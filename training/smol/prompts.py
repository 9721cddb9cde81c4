"""How user turns begin when the base makes them up, everyday questions, and system prompts."""

# ruff: noqa: SIM905 - word lists read best as text

from random import Random

OPENERS = (
    "What is", "What are", "What does", "What happens when", "What should I", "What can",
    "What is the difference between", "What is the best way to", "Who is", "Who was", "Who wrote",
    "How do I", "How does", "How can I", "How many", "How to", "How would you", "Why is", "Why do",
    "Why are", "Where is", "When did", "Which", "Is it", "Can you explain", "Can you", "Could you",
    "Explain", "Describe", "List", "Name", "Give me", "Give me some advice on", "Tell me about",
    "Tell me", "Write a short story about", "Write a sentence about", "Write a short poem about",
    "Write an email", "Write a paragraph about", "Write", "Summarize", "I want to", "I need",
    "I am", "My", "Help me", "Please", "Suggest", "Compare", "Translate", "Do you", "Should I",
    "Define", "Make a list of",
)  # fmt: skip

TOPICS = tuple(
    "the sea|the moon|the sun|rain|snow|winter|summer|autumn|spring|a dog|a cat|a horse|bees|birds"
    "|trees|flowers|a garden|the forest|mountains|rivers|the desert|volcanoes|earthquakes|clouds"
    "|lightning|the wind|gravity|electricity|magnets|atoms|light|sound|water|ice|fire|oxygen|the "
    "heart|the brain|sleep|dreams|vitamins|exercise|healthy food|breakfast|bread|cheese|coffee|tea"
    "|chocolate|apples|honey|soup|pizza|rice|cooking|baking|music|the piano|the guitar|dancing"
    "|painting|photography|movies|books|poetry|reading|writing|history|ancient Rome|ancient Egypt"
    "|the Middle Ages|dinosaurs|fossils|evolution|plants|photosynthesis|insects|spiders|sharks"
    "|whales|elephants|lions|penguins|wolves|the rainforest|climate change|recycling|pollution"
    "|solar energy|wind energy|cars|trains|airplanes|bicycles|ships|bridges|houses|cities|villages"
    "|farming|money|saving money|taxes|banks|shopping|a job interview|teamwork|leadership"
    "|friendship|family|love|happiness|fear|anger|courage|kindness|patience|honesty|time|travel"
    "|the beach|camping|hiking|swimming|football|tennis|chess|games|toys|school|teachers"
    "|homework|mathematics|numbers|geometry|language|grammar|learning English|computers|the "
    "internet|programming|Python|robots|artificial intelligence|machine learning|a database|email"
    "|phones|space|stars|planets|Mars|black holes|rockets|astronauts|the Earth|the atmosphere"
    "|seasons|maps|islands|Africa|Europe|Asia|Paris|London|Japan|India|doctors|medicine|germs"
    "|vaccines|teeth|bones|muscles|stress|meditation|yoga|habits|goals|birthdays|holidays|weddings"
    "|a lost key|a brave mouse|a small robot|an old tree|a rainy day|a quiet village|a long journey"
    "|democracy|laws|elections|peace|art|museums|theatre|fashion|clothes|shoes|colors|gold|iron|salt"
    "|glass|paper|wood|plastic|oil|inflation|trade|startups|marketing|advertising|customers".split(
        "|"
    )
)

EVERYDAY = (
    "What is {0}?", "What are the main facts about {0}?", "Tell me about {0}.",
    "Tell me something interesting about {0}.", "Explain {0}.", "Explain {0} in simple words.",
    "Explain {0} to a child.", "Explain in two sentences: {0}.", "Why do people like {0}?",
    "Why is it important to know about {0}?", "How does {0} affect us?",
    "Write one sentence about {0}.", "Write two sentences about {0}.",
    "Write three sentences about {0}.", "Write a short paragraph about {0}.",
    "Write a short story about {0}.", "Write a short poem about {0}.", "Write a haiku about {0}.",
    "List three facts about {0}.", "List five words related to {0}.",
    "Name three things about {0}.",
    "Give me three tips about {0}.", "Give me an idea for a story about {0}.",
    "Describe {0}.", "Describe {0} in one sentence.", "What do you know about {0}?",
    "What should I know about {0}?", "Ask me a question about {0}.",
    "Give me a definition of {0}.", "Where can I learn more about {0}?",
    "Can you tell me a little about {0}?", "I want to learn about {0}.",
    "What comes to mind when you think of {0}?", "Suggest a title for a book about {0}.",
    "Write an email to a friend about {0}.", "Summarize what you know about {0}.",
    "How would you describe {0}?", "Is there anything special about {0}?",
)  # fmt: skip

FOLLOW_UPS = (
    "Why?", "Tell me more.", "Can you give me an example?", "Explain that in simpler words.",
    "What else?", "How does that work?", "Can you make it shorter?", "Give me another one.",
    "What do you mean?", "Are you sure?", "Say that in one sentence.", "And what about",
    "How", "What", "Can you", "Thank you.", "Is that",
)  # fmt: skip

SHORT = (
    "Answer in one short sentence.", "Answer briefly.", "Be brief.", "Be concise.",
    "Answer in one or two sentences.", "Give short answers.", "Answer with a few words.",
    "You answer in at most two sentences.", "Keep your answers short and simple.",
    "Reply with a single short paragraph.", "Answer the question directly and briefly.",
)  # fmt: skip

SYSTEM = (
    "You are a helpful assistant.", "You are a helpful AI assistant.",
    "You are a friendly teacher.",
    "You are a careful and honest assistant.", "Answer the user's questions.",
    "You are an expert who explains things simply.", "You help people with everyday questions.",
    "You are an assistant that writes clear English.", "You are a poet.", "You are a storyteller.",
    "You are a science teacher.", "You are a cook who gives practical advice.",
    "You are a patient tutor for children.", "You are a travel guide.", "Be polite and helpful.",
    *SHORT[:6],
)  # fmt: skip


def opener(rng: Random) -> str:
    return rng.choice(OPENERS)


ASKED_SHORT = (
    "Answer in one sentence.", "Answer briefly.", "One sentence, please.", "In one sentence.",
    "Keep it short.", "Short answer.", "Answer in two sentences.",
)  # fmt: skip


def everyday(rng: Random) -> str:
    """Return a whole question that a newcomer may ask, at times written in a hurry."""
    question = rng.choice(EVERYDAY).format(rng.choice(TOPICS))
    if rng.random() < 0.12:
        question = f"{question} {rng.choice(ASKED_SHORT)}"
    if rng.random() < 0.15:
        question = question.lower()
    if rng.random() < 0.15:
        question = question.rstrip(".?")
    return question
