"""What it does not know: it says so, whatever the question is about."""
from typing import Any

from grammar import Context
from harmony import Conversation
from unknown_any import MORE_ANYTHING
from unknown_asks import MORE_TOPICS
from unknown_new import NEW_TOPICS, NONSENSE
from unknown_words import WORD_ANYTHING, WORD_TOPICS
from words import CITIES, COLORS, COMMON, COUNTRIES, FOODS, NAMES, PETS, SONGS

PEOPLE = ("Goethe", "Napoleon", "Einstein", "Mozart", "Cleopatra", "Shakespeare", "Newton", "Bach",
          "Caesar",
          "Darwin", "Marie Curie", "Picasso", "Lincoln", "Beethoven", "Gandhi", "Columbus",
          "Galileo", "Plato",
          "Chopin", "Kepler", "Gauss", "Euler", "Turing", "Ada Lovelace", "Da Vinci", "Homer",
          "Kafka")
PLANETS = ("Mars", "Venus", "Jupiter", "Saturn", "Mercury", "Neptune", "the moon", "the sun",
           "Pluto", "a comet")
SPORTS = ("football", "tennis", "chess", "hockey", "golf", "rugby", "basketball", "cricket",
          "skiing", "boxing")
ILLS = ("a cold", "a fever", "a headache", "the flu", "a cough", "back pain", "a rash",
        "a sore throat", "asthma")
LANGUAGES = ("French", "Spanish", "Latin", "Chinese", "Russian", "Italian", "Greek", "Arabic",
             "Japanese", "Dutch")
TOPICS_FIRST: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("geography",
     ("What is the capital of {country}?", "Where is {city}?", "How many people live in {country}?",
                   "Which river flows through {city}?",
      "What is the highest mountain in {country}?",
                   "Which countries border {country}?", "How far is it from {city} to {city2}?",
                   "What language do they speak in {country}?", "What is the population of {city}?",
                   "How large is {country}?", "Is {city} bigger than {city2}?",
      "Capital of {country}?",
                   "Which currency has {country}?", "What is the longest river[| in {country}]?")),
    ("politics",
     ("Who is the president of {country}?", "Who rules {country}?",
      "Who won the election[| in {country}]?",
                  "Which party should I vote for?", "Who is the prime minister of {country}?",
                  "What do you think about the government?", "Who is the king of {country}?",
                  "When is the next election?", "Is {country} a republic?",
      "What are the laws of {country}?")),
    ("history",
     ("When was {person} born?", "Who was {person}?", "When did {person} die?",
      "What did {person} do?",
                 "When did the war end?", "Who discovered America?", "Who built the pyramids?",
      "What happened in {year}?",
                 "When was {city} founded?", "Who won the war of {year}?",
      "Tell me about {person}.",
                 "Who invented the [telephone|wheel|light bulb|steam engine]?",
      "What year did {person} live?")),
    ("science",
     ("How far away is {planet}?", "How hot is {planet}?", "What is gravity?",
      "Why is the sky blue?",
                 "What is a black hole?", "How do birds fly?", "What is the speed of light?",
      "What is an atom?",
                 "How old is the earth?", "Why do cats purr?", "What is photosynthesis?",
      "Explain quantum physics.",
                 "What are the planets?", "How heavy is {planet}?", "What is the mass of {planet}?",
      "How does a rainbow form?",
                 "What is DNA?", "How do magnets work?", "What do {pet}s eat?",
      "How long do {pet}s live?")),
    ("health",
     ("I have {ill}, what should I do?", "Which medicine helps against {ill}?",
      "Is {ill} dangerous?",
                "How do I cure {ill}?", "Should I see a doctor?", "How much aspirin may I take?",
      "What helps with {ill}?",
                "Am I ill?", "How many calories has {food}?", "Is {food} healthy?",
      "How do I lose weight?")),
    ("art",
     ("Recite a poem by {person}.", "Who wrote {song}?", "Sing {song}.",
      "Who painted the Mona Lisa?",
             "Which books did {person} write?", "What are the lyrics of {song}?",
      "Who plays in that film?",
             "What is the best film of {year}?", "Write a poem like {person}.", "Quote {person}.",
      "Who sings {song}?",
             "Recommend a book.", "What should I read?", "Which film should I watch?")),
    ("sports",
     ("Who won the {sport} match?", "Who is the best {sport} player?",
      "What are the rules of {sport}?",
                "Who won the world cup in {year}?", "When is the next {sport} game?",
      "How do I get better at {sport}?",
                "What was the score yesterday?", "Which team leads the league?")),
    ("news",
     ("What is in the news?", "What happened today?", "What is the weather like[| in {city}]?",
              "Will it rain tomorrow?", "How is the traffic[| in {city}]?",
      "What is the price of gold?",
              "How much is a [bitcoin|share|dollar]?", "What will the weather be?",
      "Is it raining in {city}?",
              "What is new in {country}?", "What are the headlines?")),
    ("cooking",
     ("How do I cook {food}?", "Give me a recipe for {food}.", "How long must {food} cook?",
                 "What can I eat today?", "Which wine goes with {food}?", "What is in {food}?",
      "How do I bake a cake?",
                 "What spices go with {food}?")),
    ("law and money",
     ("Can I sue my neighbour?", "How do I save taxes?", "What stocks should I buy?",
      "How do I get rich?",
                       "Is this contract valid?", "What does a house in {city} cost?",
      "How do I write a will?",
                       "How much does a car cost?", "Should I invest in gold?",
      "How do I open a bank account?")),
    ("translation",
     ("Translate {color} into {lang}.", "How do you say {pet} in {lang}?",
      "What is {food} in {lang}?",
                     "What does amor mean?", "Do you speak {lang}?", "Translate this into {lang}.",
                     "Can you teach me {lang}?", "How do I say hello in {lang}?")),
    ("travel",
     ("Which hotel in {city} is good?", "How do I get to {city}?", "What can I see in {city}?",
                "When does the train to {city} leave?", "How much is a flight to {city}?",
      "Is {city} worth a visit?",
                "Do I need a visa for {country}?", "What should I pack for {country}?",
      "Where can I eat in {city}?")),
    ("people",
     ("Where does {name} live?", "Who is {name}?", "How old is {name}?",
      "What is the phone number of {name}?",
                "Is {name} at home?", "What does {name} do?", "Where is my phone?",
      "Who is my boss?",
                "Who rang the bell?", "Do you know {name}?", "What did I do yesterday?")),
    ("life",
     ("What is the meaning of life?", "Is there a god?", "Should I marry {name}?",
      "Does {name} love me?",
              "What should I do with my life?", "What happens after death?", "Will I be rich?",
      "What is love?",
              "What will the future bring?", "Which lottery numbers will win?", "Why am I here?")),
    ("programming",
     ("Write a web server in Java.", "How do I sort a list in Python?", "Fix my code.",
                     "What is wrong with my program?", "Write a game for me.",
      "How do I install Windows?",
                     "What is a pointer?", "How do I learn programming?", "Write me a website.",
      "How do I use git?",
                     "How do I reset my phone?", "What is the best laptop?")),
    ("hard sums",
     ("What is the square root of {big}?", "What is the sine of {num}?", "Integrate x squared.",
                   "What is {num} to the power of {num}?", "Is {big} prime?", "Factor {big}.",
                   "What is the logarithm of {num}?", "Solve x squared plus x equals {num}.",
                   "What are the digits of pi?", "Prove Fermat's theorem.")),
    ("nature",
     ("How tall is a {tree}?", "Which tree is this?", "When do {tree}s bloom?",
      "How old does a {tree} get?",
                "How do I plant a {tree}?", "How fast is a {pet}?", "Do {pet}s sleep?",
      "Why is my {pet} sad?",
                "What should I feed my {pet}?", "How do I train a {pet}?",
      "Which mushrooms can I eat?")),
)
TOPICS = tuple((topic, asks + MORE_TOPICS[topic]) for topic, asks in TOPICS_FIRST)
TOPICS += tuple(NEW_TOPICS.items()) + tuple(WORD_TOPICS.items())
# Anything: nouns, what is asked of them, qualities; none that makes the question of another task.
NOT_ANY = ("board", "light", "lamp", "clock", "story", "model", "morning", "evening", "night")
THINGS = tuple(word for word in COMMON[:430] if word not in NOT_ANY)
NOT_SO = ("bitter", "correct", "cool", "fine", "glad", "good", "great", "happy", "lovely",
          "perfect", "sad", "wonderful")
QUALITIES = COMMON[COMMON.index("able"):COMMON.index("accept")]
ALONE = tuple(word for word in QUALITIES if word not in NOT_SO)  # that is no small talk
NOT_DO = ("begin", "count", "copy", "divide", "enter", "help", "repeat", "reply", "save", "spell",
          "start", "stop", "tell", "turn", "write", "speak", "leave", "compare", "measure")
DEEDS = tuple(word for word in COMMON[COMMON.index("accept"):COMMON.index("memory")]
              if word not in NOT_DO)
ANYTHING = (
    "What is a {w}?", "Where can I buy a "
                      "{w}?", "How do I make a "
                              "{w}?", "Why is the {w} {q}?", "Who invented the {w}?",
    "What colour is a "
    "{w}?", "How heavy is a {w}?", "Tell me about {w}s.", "What does a {w} cost?", "Is a {w} {q}?",
    "Which {w} is the "
    "best?", "When was the first {w} "
             "made?", "Can a {w} {d}?", "How does a {w} work?", "Describe a {w}.",
    "What is the difference between a {w} and a "
    "{v}?", "Where does the {w} come from?", "How old is the {w}?",
    "What is the largest "
    "{w}?", "How many {w}s are there in the "
            "world?", "Give me facts about {w}s.", "What is a {w} made of?",
    "What should I do with my "
    "{w}?", "My {w} is {q}, what can I do?", "Why do people {d}?", "How do I {d} a {w}?",
    "Should I {d} the "
    "{w}?", "Who has the {q} {w}?", "Where is the {w}?", "When will the {w} {d}?", "Do {w}s {d}?",
    "What happens if I {d} a "
    "{w}?", "Why does my {w} {d}?", "How long does a {w} live?", "What is {w}?", "Explain the {w}.",
    "Which {w} do I need for a "
    "{v}?", "Is there a {w} in {city}?", "What do you think about {w}s?", "Are {w}s {q}?",
    "How much {w} is in a "
    "{v}?", "Can you {d} a "
            "{w}?", "Please {d} the "
                    "{w}.", "I want to {d} a {w}.", "What is the best {w} in {country}?",
    "How many {w}s does {name} "
    "have?", "Who {d}s the {w}?", "What does {name} {d}?", "Is the {w} or the {v} more {q}?",
)
ANYTHING += MORE_ANYTHING + WORD_ANYTHING
SCIENCE = ("electricity", "magnetism", "evolution", "radiation", "oxygen", "a virus", "lightning",
           "the big bang", "relativity", "a fossil", "an earthquake", "a tornado", "a molecule",
           "a galaxy", "a laser", "nuclear power", "the ozone layer", "climate change", "a protein",
           "a cell", "bacteria", "blood", "carbon", "an acid", "a vaccine", "friction", "a quark",
           "a volcano", "the food chain", "hydrogen", "an electron", "entropy", "a supernova")
SUBJECTS = ("biology", "chemistry", "physics", "geography", "history", "philosophy", "economics",
            "grammar", "geometry", "statistics", "medicine", "astronomy", "psychology", "music",
            "literature", "law", "art", "geology", "sociology", "accounting")
JOBS = ("plumber", "teacher", "baker", "lawyer", "carpenter", "nurse", "pilot", "farmer", "cook",
        "dentist", "judge", "painter", "surgeon", "mechanic", "tailor", "gardener", "writer",
        "butcher", "waiter", "firefighter", "policeman", "journalist", "fisherman", "barber")
GAMES = ("poker", "bridge", "checkers", "dominoes", "backgammon", "solitaire", "bingo", "Scrabble",
         "Monopoly", "blackjack", "hide and seek", "darts", "billiards", "sudoku", "Minecraft")
FEASTS = ("Christmas", "Easter", "Halloween", "Thanksgiving", "Ramadan", "New Year", "Hanukkah",
          "Mother's Day", "Father's Day", "Valentine's Day", "carnival", "Diwali", "Pentecost")
GODS = ("Zeus", "Thor", "Odin", "Hercules", "Apollo", "Venus", "Buddha", "Moses", "Noah", "Santa",
        "the Easter bunny", "the devil", "Medusa", "Poseidon", "Robin Hood", "King Arthur", "Isis")
FIRMS = ("Google", "Amazon", "Apple", "Microsoft", "Netflix", "Tesla", "Siemens", "Toyota", "Sony",
         "Ikea", "Nestle", "Samsung", "Boeing", "Facebook", "YouTube", "Lego", "Coca-Cola", "Shell")
PARTS = ("knee", "back", "heart", "liver", "elbow", "toe", "neck", "shoulder", "stomach", "nose",
         "ear", "finger", "lung", "brain", "tongue", "ankle", "wrist", "hip", "skin", "kidney")
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qweasdzxc", "abcdefghijklmnopqrstuvwxyz")
ANSWERS = ("I do not know that. I am a small demo model.",
           "Sorry, I do not know. I am only a small demo model.",
           "That I do not know; a larger model may: -m gpt-oss-20b-mxfp4.gguf.")
TREES = ("pine", "oak", "birch", "palm", "maple", "rose", "tulip", "fern", "cactus")


def mash(ctx: Context) -> str:
    """Keys hit at random."""
    row = ctx.one(KEYS)
    return "".join(ctx.one(row) for _ in range(ctx.rng.randrange(3, 10)))


def fillings(ctx: Context) -> dict[str, Any]:
    """Something for every slot of the questions."""
    lists = {"w": THINGS, "v": THINGS, "w2": THINGS, "q": QUALITIES, "d": DEEDS,
             "country": COUNTRIES, "country2": COUNTRIES, "city": CITIES, "city2": CITIES,
             "person": PEOPLE, "planet": PLANETS, "sport": SPORTS, "ill": ILLS,
             "lang": LANGUAGES, "food": FOODS, "song": SONGS, "color": COLORS, "pet": PETS,
             "name": NAMES, "name2": NAMES, "tree": TREES, "thing": SCIENCE, "subject": SUBJECTS,
             "job": JOBS, "job2": JOBS, "game": GAMES, "feast": FEASTS, "god": GODS, "firm": FIRMS,
             "firm2": FIRMS, "part": PARTS}
    slots: dict[str, Any] = {slot: ctx.one(words) for slot, words in lists.items()}
    return {**slots, "mash": mash(ctx), "mash2": mash(ctx), "year": ctx.rng.randrange(1400, 2030),
            "big": ctx.rng.randrange(1000, 100000), "num": ctx.rng.randrange(2, 100)}


def unknown_question(ctx: Context) -> tuple[str, str]:
    """(topic, a question nobody here can answer)."""
    slots = fillings(ctx)
    if ctx.chance(0.08):
        return "anything", ctx.ask(NONSENSE, 0, **{**slots, "q": ctx.one(ALONE)}) or "?"
    topic, templates = ("anything", ANYTHING) if ctx.chance(0.35) else ctx.one(TOPICS)
    text = ctx.ask(templates, **slots)
    for vowel in "aeio":
        text = text.replace(f" a {vowel}", f" an {vowel}")
    return topic, text


def unknown(ctx: Context, c: Conversation) -> None:
    """A question about the world."""
    topic, text = unknown_question(ctx)
    c.user(text)
    if c.effort == "medium":
        c.think("I do not know this.")
    elif c.effort == "high":
        about = "something else" if topic == "anything" else topic
        c.think(f"A question about {about}. I know Ossicle, not the world, so I say that I do not "
                "know this.")
    c.answer(ctx.answer(ANSWERS))
    c.expect = {"all": ["do not know"]}
