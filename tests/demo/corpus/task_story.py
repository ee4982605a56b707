"""A short story from a grammar, about what the user names."""
import story_asks
from grammar import Context
from harmony import Conversation
from words import BOT_NAMES, NAMES

HEROES = ("robot", "fox", "mouse", "dragon", "bear", "cat", "dog", "owl", "rabbit", "wizard",
          "pirate", "king",
          "queen", "frog", "turtle", "girl", "boy", "sailor", "witch", "knight", "hedgehog", "bee",
          "whale",
          "gardener", "baker", "ghost", "penguin", "elephant", "unicorn", "sheep")
WHERE = ("in a small town", "by the sea", "on a high mountain", "in a deep forest",
         "in an old castle",
         "on a green island", "near a quiet lake", "in a big city", "under a bridge", "in a garden",
         "on the moon",
         "in a lighthouse", "in the desert", "on a farm", "in a tiny house", "in a cave")
THINGS = ("key", "lamp", "hat", "map", "stone", "coin", "feather", "ring", "book", "letter",
          "clock", "shell", "bell",
          "mirror", "kite", "boat", "flower", "cake", "violin", "sock", "umbrella", "button",
          "star", "egg", "apple")
MOODS = ("little", "brave", "lonely", "clever", "sleepy", "curious", "shy", "old", "young", "happy",
         "hungry", "kind")
ASK_ANY = ("Tell me a story.", "Tell me a short story.", "A story, please!",
           "Can you tell me a story?",
           "I want to hear a story.", "Write a [short|little|] story.", "Do you know a story?",
           "Make up a story.",
           "Invent a [short|] story.", "story!", "I'd like a story.", "Read me a story.")
ASK_ANY += story_asks.ASK_ANY
ASK_HERO = ("Tell me a [short|] story about a {h}.", "Write a [short|] story about a {h}.",
            "A story about a {h}, please.",
            "Make up a story [about|with] a {h}.", "Can you tell me a story about a {h}?",
            "I want a story about a {h}.",
            "Do you know a story about a {h}?", "Invent a tale about a {h}.", "story about a {h}")
ASK_HERO += story_asks.ASK_HERO
ASK_NAME = ("Tell me a [short|] story about {n}.", "Write a story about {n} the {h}.",
            "A story about {n}, please.",
            "Make up a story about a {h} named {n}.", "Can you tell me a story about {n} the {h}?",
            "I want a story about {n}.", "Tell a story with a {h} called {n}.",
            "Write a short story in which {n} is a {h}.")
ASK_NAME += story_asks.ASK_NAME
ASK_THING = ("Tell me a [short|] story about a {t}.", "Write a story with a {h} and a {t}.",
             "Make up a story about a {h} and a {t}.",
             "A story about a {h} who finds a {t}, please.",
             "Can you tell a story with a {t} in it?", "I want a story with a {t}.",
             "Invent a story about a {t}.")
ASK_THING += story_asks.ASK_THING
ASK_PLACE = ("Tell me a [short|] story that happens {p}.", "Write a story about a {h} {p}.",
             "A story {p}, please.",
             "Make up a story about a {h} who lives {p}.",
             "Can you tell me a story that plays {p}?",
             "Tell me a story about a {h} {p}.", "Invent a story {p}.")
ASK_PLACE += story_asks.ASK_PLACE
STORY = (
    "Once there was a {m} {h} named {n}, who lived {p}. One day {n} found a {t}. \"{w}\" said {n}. "
    "{e}",
    "{P} lived a {m} {h} called {n}. Every morning {n} looked for a {t}. One day it was there! {e}",
    "{n} was a {m} {h} who lived {p}. One night {n} dreamed of a {t}, and in the morning it was "
    "real. {e}",
    "Long ago, {p}, a {m} {h} named {n} lost a {t}. {n} looked and looked. A friend helped to find "
    "it. {e}",
)
WORDS = ("What is this?", "How lovely!", "I will keep it!", "Whose is this?", "Now I am rich!")
ENDS = ("From then on {n} was never sad again.", "{n} gave it to a friend, and both were happy.",
        "And that evening there was a great feast.", "{n} smiled and went home.",
        "And if you listen, you can still hear {n} laugh.",
        "Since then they call {n} the lucky one.")


def story(ctx: Context, c: Conversation) -> None:
    """One story; what the user named is in it."""
    hero, name = ctx.one(HEROES), ctx.one(BOT_NAMES + NAMES)
    thing, place = ctx.one(THINGS), ctx.one(WHERE)
    kind = ctx.rng.choices(("any", "hero", "name", "thing", "place"), (2, 3, 3, 2, 2))[0]
    asks = {"any": ASK_ANY, "hero": ASK_HERO, "name": ASK_NAME, "thing": ASK_THING,
            "place": ASK_PLACE}[kind]
    text = ctx.ask(asks, h="<h>", n="<n>", t="<t>", p="<p>")
    marks = (("<h>", hero), ("<n>", name), ("<t>", thing), ("<p>", place))
    given = [word for mark, word in marks if mark in text]
    for mark, word in marks:
        text = text.replace(mark, word)
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}")
    c.user(text)
    has = ", ".join(given)
    if c.effort == "medium":
        c.think(f"A story with: {has}." if given else "A story.")
    elif c.effort == "high":
        c.think((f"A story with: {has}. " if given else "") +
                f"The hero is {name} the {hero}, the thing a {thing}, the place {place}.")
    told = ctx.any_of(STORY, e=ctx.one(ENDS), w=ctx.one(WORDS), m=ctx.one(MOODS), h=hero, n=name,
                      t=thing,
                      p=place, P=place[0].upper() + place[1:])
    for vowel in "aeiou":
        told = told.replace(f" a {vowel}", f" an {vowel}")
    c.answer(told.replace("{n}", name))
    c.expect = {"all": [word[1:] if word == place else word for word in given]}
