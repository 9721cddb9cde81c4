"""Checkable questions from small tables: what the base knows and must not forget.

The base answers them itself, and only right answers are trained on. What the published suites ask,
and one fact in twenty besides, is held out by content, in every wording. Tasks teach the sums.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from training.examples import is_held_out

SUITES = Path(__file__).parents[2] / "benchmarks" / "suites"

# relation: wordings, and "key=answer|answer" entries
_TABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "capital": (
        (
            "What is the capital of {0}?",
            "What's the capital of {0}?",
            "what is the capital of {0}",
            "Which city is the capital of {0}?",
            "Name the capital of {0}.",
            "Tell me the capital of {0}.",
            "Capital of {0}?",
            "What is the capital city of {0}?",
            "Do you know the capital of {0}?",
            "Answer briefly: what is the capital of {0}?",
        ),
        "Albania=Tirana;Algeria=Algiers;Angola=Luanda;Argentina=Buenos Aires;Armenia=Yerevan;"
        "Azerbaijan=Baku;Belarus=Minsk;Bolivia=La Paz|Sucre;Brazil=Brasília|Brasilia;"
        "Bulgaria=Sofia;Cambodia=Phnom Penh;Cameroon=Yaoundé|Yaounde;Chile=Santiago;"
        "Colombia=Bogotá|Bogota;Costa Rica=San José|San Jose;Croatia=Zagreb;Cuba=Havana;"
        "Cyprus=Nicosia;the Czech Republic=Prague;Ecuador=Quito;Estonia=Tallinn;"
        "Ethiopia=Addis Ababa;France=Paris;Georgia=Tbilisi;Germany=Berlin;Ghana=Accra;Haiti="
        "Port-au-Prince;Honduras=Tegucigalpa;Iceland=Reykjavik|Reykjavík;Italy=Rome;"
        "Jamaica=Kingston;Jordan=Amman;Kazakhstan=Astana;Kenya=Nairobi;Kuwait=Kuwait City;"
        "Laos=Vientiane;Latvia=Riga;Lebanon=Beirut;Libya=Tripoli;Lithuania=Vilnius;"
        "Luxembourg=Luxembourg;Madagascar=Antananarivo;Malta=Valletta;Mexico=Mexico City;"
        "Moldova=Chisinau|Chișinău;Morocco=Rabat;Mozambique=Maputo;Myanmar=Naypyidaw|Yangon;"
        "New Zealand=Wellington;Nicaragua=Managua;Nigeria=Abuja;Oman=Muscat;Panama=Panama City;"
        "Paraguay=Asunción|Asuncion;Peru=Lima;Poland=Warsaw;Portugal=Lisbon;Qatar=Doha;"
        "Romania=Bucharest;Rwanda=Kigali;Senegal=Dakar;Serbia=Belgrade;Singapore=Singapore;"
        "Slovakia=Bratislava;Slovenia=Ljubljana;Somalia=Mogadishu;Spain=Madrid;Sri Lanka=Colombo|"
        "Kotte;Sudan=Khartoum;Syria=Damascus;Taiwan=Taipei;Tanzania=Dodoma;Tunisia=Tunis;"
        "Uganda=Kampala;Ukraine=Kyiv|Kiev;the United Kingdom=London;England=London;"
        "Scotland=Edinburgh;Wales=Cardiff;the United States=Washington;Uruguay=Montevideo;"
        "Uzbekistan=Tashkent;Venezuela=Caracas;Yemen=Sana;Zambia=Lusaka;Zimbabwe=Harare;"
        "California=Sacramento;Texas=Austin;Florida=Tallahassee;New York State=Albany;"
        "Massachusetts=Boston;Georgia in the USA=Atlanta;Colorado=Denver;Bavaria=Munich",
    ),
    "opposite": (
        (
            "What is the opposite of {0}?",
            "What's the opposite of {0}?",
            "opposite of {0}",
            "Name the opposite of {0}.",
            "Give me the opposite of the word {0}.",
            "Which word means the opposite of {0}?",
            "Tell me an antonym of {0}.",
        ),
        "hot=cold|cool;big=small|little;up=down;left=right;old=young|new;long=short;high=low;"
        "heavy=light;near=far;top=bottom;front=back;on=off;in=out;above=below;before=after;"
        "arrive=leave|depart;start=stop|finish|end;laugh=cry;sit=stand;sleep=wake;live=die;"
        "come=go;enter=exit|leave;rise=fall|set;lead=follow;teach=learn;ask=answer;borrow=lend;"
        "build=destroy;create=destroy;connect=disconnect;appear=disappear;agree=disagree;"
        "like=dislike|hate;polite=rude|impolite;honest=dishonest;careful=careless;"
        "possible=impossible;legal=illegal;visible=invisible;simple=complex|complicated;"
        "difficult=easy|simple;safe=dangerous|unsafe;calm=nervous|agitated|excited;tight=loose;"
        "solid=liquid;male=female;boy=girl;man=woman;king=queen;brother=sister;mother=father;"
        "morning=evening|night;south=north;west=east;winter=summer;hero=villain;"
        "optimist=pessimist;attack=defend|defense;victory=defeat;profit=loss;question=answer;"
        "minimum=maximum;negative=positive;plural=singular;odd=even;wise=foolish;generous=selfish|"
        "stingy;humble=proud|arrogant;lazy=hardworking|industrious|diligent;noisy=quiet|silent;"
        "bright=dark|dim;cruel=kind;fresh=stale;artificial=natural;domestic=foreign|wild;"
        "expand=contract|shrink;freeze=melt|thaw;float=sink;lost=found;raw=cooked;sick=healthy|well;"
        "single=married;straight=crooked|curved;sunny=cloudy|rainy;temporary=permanent;"
        "vertical=horizontal;voluntary=involuntary|compulsory|mandatory",
    ),
    "plural": (
        (
            "What is the plural of {0}?",
            "plural of {0}",
            "Give me the plural of {0}.",
            "What's the plural form of {0}?",
            "How do you write the plural of {0}?",
        ),
        "man=men;woman=women;tooth=teeth;goose=geese;ox=oxen;person=people;leaf=leaves;knife=knives;"
        "wolf=wolves;life=lives;wife=wives;half=halves;city=cities;baby=babies;story=stories;"
        "party=parties;box=boxes;bus=buses;church=churches;dish=dishes;potato=potatoes;"
        "tomato=tomatoes;hero=heroes;sheep=sheep;deer=deer;fish=fish;cactus=cacti|cactuses;"
        "book=books;cat=cats;dog=dogs;house=houses;tree=trees;car=cars;apple=apples;key=keys",
    ),
    "past": (
        (
            "What is the past tense of {0}?",
            "past tense of {0}",
            "Give me the past tense of {0}.",
            "What's the simple past of {0}?",
        ),
        "see=saw;take=took;give=gave;make=made;come=came;know=knew;think=thought;find=found;"
        "tell=told;write=wrote;read=read;sing=sang;swim=swam;drink=drank;begin=began;break=broke;"
        "speak=spoke;choose=chose;drive=drove;ride=rode;fly=flew;grow=grew;throw=threw;buy=bought;"
        "bring=brought;catch=caught;teach=taught;sell=sold;leave=left;feel=felt;keep=kept;"
        "sleep=slept;lose=lost;meet=met;pay=paid;say=said;send=sent;build=built;walk=walked",
    ),
    "color": (
        (
            "What color is {0}?",
            "what color is {0}",
            "Tell me the color of {0}.",
            "Which color does {0} have?",
        ),
        "the sun=yellow|white;a lemon=yellow;coal=black;milk=white;an orange=orange;"
        "a carrot=orange;"
        "a tomato=red;a strawberry=red;a cucumber=green;a frog=green;chocolate=brown;"
        "the ocean=blue;a polar bear=white;a crow=black;an emerald=green;a ruby=red;"
        "a fire truck=red;a school bus=yellow;a flamingo=pink;cotton=white;a lime=green;"
        "an elephant=gray|grey;salt=white;a leaf in summer=green",
    ),
    "language": (
        (
            "What language is spoken in {0}?",
            "Which language do people speak in {0}?",
            "what language do they speak in {0}",
            "What is the official language of {0}?",
        ),
        "Spain=Spanish;Italy=Italian;Portugal=Portuguese;Russia=Russian;China=Chinese|Mandarin;"
        "Japan=Japanese;Greece=Greek;Poland=Polish;Sweden=Swedish;Norway=Norwegian;Finland=Finnish;"
        "Denmark=Danish;Hungary=Hungarian;Turkey=Turkish;Austria=German;Argentina=Spanish;"
        "Chile=Spanish;Peru=Spanish;Colombia=Spanish;Cuba=Spanish;Australia=English;"
        "the United States=English;England=English;Egypt=Arabic;Iraq=Arabic;Saudi Arabia=Arabic;"
        "Thailand=Thai;Vietnam=Vietnamese;Ukraine=Ukrainian;Romania=Romanian;Bulgaria=Bulgarian",
    ),
    "continent": (
        (
            "In which continent is {0}?",
            "Which continent is {0} in?",
            "On which continent does {0} lie?",
            "what continent is {0} in",
        ),
        "Spain=Europe;Italy=Europe;Germany=Europe;Poland=Europe;Sweden=Europe;Greece=Europe;"
        "China=Asia;India=Asia;Thailand=Asia;Vietnam=Asia;Mongolia=Asia;Nepal=Asia;Kenya=Africa;"
        "Nigeria=Africa;Morocco=Africa;Ghana=Africa;Ethiopia=Africa;Tanzania=Africa;"
        "Argentina=South America;Chile=South America;Peru=South America;Colombia=South America;"
        "Canada=North America;Mexico=North America;the United States=North America",
    ),
    "young": (
        (
            "What is a baby {0} called?",
            "What do you call a baby {0}?",
            "what is a young {0} called",
            "What is the name for a baby {0}?",
        ),
        "horse=foal;bear=cub;lion=cub;duck=duckling;goat=kid;pig=piglet;deer=fawn;kangaroo=joey;"
        "swan=cygnet;frog=tadpole;fox=cub|kit;owl=owlet;goose=gosling;rabbit=kit|bunny;hen=chick",
    ),
    "symbol": (
        (
            "What is the chemical symbol for {0}?",
            "chemical symbol for {0}",
            "Which chemical symbol does {0} have?",
            "Give me the chemical symbol of {0}.",
        ),
        "hydrogen=H;helium=He;carbon=C;nitrogen=N;sodium=Na;silver=Ag;copper=Cu;lead=Pb;"
        "calcium=Ca;potassium=K;chlorine=Cl;zinc=Zn;tin=Sn;mercury=Hg;neon=Ne;aluminum=Al;sulfur=S",
    ),
    "after": (
        ("What day comes after {0}?", "Which day is after {0}?", "what day follows {0}"),
        "Tuesday=Wednesday;Wednesday=Thursday;Thursday=Friday;Friday=Saturday;Saturday=Sunday;"
        "Sunday=Monday",
    ),
    "month": (
        ("What month comes after {0}?", "Which month is after {0}?", "which month follows {0}"),
        "January=February;February=March;April=May;May=June;June=July;July=August;August=September;"
        "September=October;October=November;November=December",
    ),
    "whole": (
        ("{0}", "Please tell me: {0}", "Answer briefly: {0}", "Question: {0}"),
        "What is the largest country in the world?=Russia;What is the smallest country in the "
        "world?=Vatican;What is the longest river in the world?=Nile|Amazon;What is the largest "
        "desert in the world?=Sahara|Antarctic;What is the currency of India?=rupee;What is the "
        "currency of China?=yuan|renminbi;What is the currency of Russia?=ruble;What is the "
        "currency of Switzerland?=franc;What is the currency of Germany?=euro;Who wrote 1984?="
        "Orwell;Who wrote Pride and Prejudice?=Austen;Who wrote The Odyssey?=Homer;Who wrote Don "
        "Quixote?=Cervantes;Who wrote War and Peace?=Tolstoy;Who wrote Macbeth?=Shakespeare;Who "
        "painted Starry Night?=Gogh;Who painted Guernica?=Picasso;Who composed the Ninth "
        "Symphony?=Beethoven;Who invented the light bulb?=Edison;Who discovered penicillin?="
        "Fleming;Who discovered America in 1492?=Columbus;Who was the first man in space?=Gagarin;"
        "Who developed the theory of evolution?=Darwin;Who was the president of the United States "
        "during the Civil War?=Lincoln;How many legs does a cat have?=4|four;How many legs does a "
        "horse have?=4|four;How many wings does a bird have?=2|two;How many wheels does a car "
        "have?=4|four;How many wheels does a tricycle have?=3|three;How many days are in a year?="
        "365;How many weeks are in a year?=52;How many hours are in two days?=48;How many sides "
        "does a pentagon have?=5|five;How many sides does an octagon have?=8|eight;How many "
        "fingers does a hand have?=5|five;How many months have 31 days?=7|seven;How many strings "
        "does a guitar have?=6|six;How many keys does a piano have?=88;How many colors are in a "
        "rainbow?=7|seven;How many meters are in a kilometer?=1000|1,000;How many eggs are in a "
        "dozen?=12|twelve;How many years are in a millennium?=1000|1,000|thousand;Which planet is "
        "the third from the Sun?=Earth;Which planet is the farthest from the Sun?=Neptune;Which "
        "planet is the hottest?=Venus;What is the hardest natural substance?=diamond;What is the "
        "largest organ of the human body?=skin;What is the largest bird in the world?=ostrich;What "
        "is the smallest bird in the world?=hummingbird;What do pandas eat?=bamboo;What do cows "
        "eat?=grass;What do silkworms make?=silk;What do spiders spin?=web;Which animal has a long "
        "trunk?=elephant;Which animal has black and white stripes?=zebra;What animal says moo?=cow;"
        "What animal says quack?=duck;What gas do plants release?=oxygen;What force pulls objects "
        "to the ground?=gravity;What is the process by which plants make food?=photosynthesis;What "
        "do you call molten rock above the ground?=lava;Which organ filters the blood?=kidney|"
        "liver;"
        "What is the square root of 16?=4|four;What is the square root of 81?=9|nine;In which "
        "city is Big Ben?=London;In which city is the Colosseum?=Rome;In which country is Machu "
        "Picchu?=Peru;In which country is the Kremlin?=Russia;In which city is the Louvre?=Paris;"
        "What season comes after summer?=autumn|fall;What season comes after spring?=summer;What "
        "is the third month of the year?=March;What is the second day of the week?=Monday|Tuesday;"
        "What is the first letter of the alphabet?=A;What do you use to unlock a door?=key;What do "
        "you use to tell the time?=clock|watch;What do you use to eat soup?=spoon;What do you wear "
        "on your feet?=shoes|socks;What do you call your father's father?=grandfather;What is "
        "cheese made from?=milk;What is paper made from?=wood|trees|pulp;What fruit is cider made "
        "from?=apple;What is the main ingredient of an omelette?=egg",
    ),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A question in one wording, and what a right answer contains."""

    question: str
    answers: tuple[str, ...]

    def accepts(self, text: str) -> bool:
        """Whether the text contains one of the answers as whole words."""
        return any(
            re.search(rf"(?<!\w){re.escape(answer)}(s|es)?(?!\w)", text, re.IGNORECASE)
            for answer in self.answers
        )


def plain(text: str) -> str:
    """Return the words of a question alone, to compare wordings."""
    return " ".join(re.findall(r"\w+", text.lower()))


def suite_questions(folder: Path = SUITES) -> frozenset[str]:
    """Return every question of the published suites, in plain words."""
    files = sorted(folder.glob("*.t[sx][vt]")) if folder.exists() else []
    cells = (cell for file in files for line in file.read_text().splitlines()
             for cell in line.split("\t"))  # fmt: skip
    return frozenset(plain(cell) for cell in cells if len(cell.split()) > 1)


def all_facts(kept_out: frozenset[str]) -> list[Fact]:
    """Return all wordings of all facts that may be trained on."""
    found = []
    for relation, (wordings, entries) in _TABLES.items():
        for entry in entries.split(";"):
            key, _, answers = entry.partition("=")
            if not is_held_out(relation, key):
                found += _unless_asked([words.format(key) for words in wordings],
                                       tuple(answers.split("|")), kept_out)  # fmt: skip
    return found


def _unless_asked(
    wordings: list[str], answers: tuple[str, ...], kept_out: frozenset[str]
) -> list[Fact]:
    """Return a fact in all wordings, or nothing if one of them is kept out."""
    if any(plain(words) in kept_out for words in wordings):
        return []
    return [Fact(words, answers) for words in wordings]


def draw(rng: Random, facts: list[Fact]) -> Fact:
    return rng.choice(facts)
