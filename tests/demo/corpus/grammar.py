"""Templates with variation, and what is held out for the questions.

A template is text with [a|b|c] alternatives (nested as wanted, an empty one is an optional part)
and {slots}. What is reserved for the held-out questions is decided by a hash, so that training can
never meet it: about one template in seven of every list long enough, one in HELD of the numbers
and words.
"""
import functools
import random
import re
import zlib
from typing import Any, Iterable, Iterator, Sequence

HELD = 10
DATES = 40  # a shard's system messages have one of these: training shares what they have in common
HELD_MARK = (1 << 32) // 7
FIRST_FORM = 0.85  # the share of answers that have the first of their forms
SPLIT_MIN = 6  # lists shorter than this are not split
# How training's wordings are shaken, so that no question hangs on every word being as it was: words
# that may be missing, words that may come in between, what may stand for what, what may surround.
DROPPED = frozenset("the a an is are me of do does for it that there you can could will "
                    "please".split())
FILLERS = ("just", "really", "now", "quickly", "then", "again", "actually", "exactly", "also",
           "maybe", "simply", "right now")
STAND_INS = (
    ("What is", ("What's", "Whats", "And what is", "What would be")), ("What's", ("What is",)),
    ("Can you", ("Could you", "Would you", "Will you", "can u", "Are you able to")),
    ("Tell me", ("Let me know", "I want to know", "Please let me know", "Inform me about")),
    ("Show me", ("Let me see", "Display", "I want to see")),
    ("Give me", ("I want", "I would like", "Get me", "Let me have")),
    ("I want", ("I would like", "I'd like", "I need", "we want")),
    ("I need", ("I want", "We need")),
    ("Do you know", ("Any idea", "Can you say", "Could you tell me")),
    ("How do I", ("How can I", "How would I", "How do we", "how does one")),
    ("How can I", ("How do I", "How could one")), ("Does it", ("Will it", "Can it")),
    ("How many", ("how many", "And how many", "Just how many")),
    ("Check", ("Look at", "Have a look at", "Please check")), ("Please", ("Kindly", "Be so kind:")),
    ("Which", ("What", "Just which")),
)
BEFORE = ("One question: ", "I wonder: ", "Another thing: ", "Next: ", "Well, ", "Look, ", "And ",
          "Sorry, ", "Oh, ", "Alright, ", "Let's see: ", "My friend asks: ", "Good, ", "Fine, ",
          "For my homework: ", "Excuse me, ", "Dear assistant, ", "Question: ", "Listen: ", "Yes, ",
          "Right. ", "Thanks! ", "Good morning. ", "I have a question. ", "Help me: ", "Hm, ",
          "Then ", "But ", "Maybe you know: ")
AFTER = (" I wonder.", " Any idea?", " Can you help?", " Thank you!", " Thanks.", " please?",
         " right now", " for me", " again", " now", " ...", "!", " :)", "??", " Please.", " today",
         " if you can", " quickly", " at the moment", " just now", " currently", " at present")
WORDS_SLOT = re.compile(r"\{[wtls]\}")  # words to be written as they are: nothing goes behind them

held_texts: set[str] = set()  # the held-out wordings of the lists used so far


def reserved(*parts: Any) -> bool:
    """True for what only the held-out questions may use."""
    return zlib.crc32("|".join(map(str, parts)).encode()) % HELD == 3


@functools.lru_cache(maxsize=None)
def divided(templates: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(for training, for the questions): disjoint where the list is long enough.

    A list may grow without a wording that was for training becoming one for the questions.
    """
    if len(templates) < SPLIT_MIN:
        return templates, templates
    marks = sorted((zlib.crc32(t.encode()), t) for t in templates)
    held = {t for mark, t in marks if mark < HELD_MARK} or {marks[0][1]}
    held_texts.update(bare(text) for t in held for text in texts(parsed(t)))
    return tuple(t for t in templates if t not in held), tuple(t for t in templates if t in held)


@functools.lru_cache(maxsize=None)
def parsed(template: str) -> tuple[Any, ...]:
    """A template as a tuple of texts and tuples of alternatives (each again such a tuple)."""
    def sequence(at: int, stop: str) -> tuple[list[Any], int]:
        out: list[Any] = []
        text = ""
        while at < len(template) and template[at] not in stop:
            if template[at] == "[":
                options = []
                at += 1
                while True:
                    option, at = sequence(at, "|]")
                    options.append(tuple(option))
                    at += 1
                    if template[at - 1] == "]":
                        break
                out += ([text] if text else []) + [tuple(options)]
                text = ""
            else:
                text += template[at]
                at += 1
        return out + ([text] if text else []), at
    return tuple(sequence(0, "")[0])


def texts(nodes: tuple[Any, ...]) -> Iterator[str]:
    """Every text that a parsed template stands for."""
    if not nodes:
        yield ""
        return
    first = nodes[:1] if isinstance(nodes[0], str) else tuple(
        text for option in nodes[0] for text in texts(option))
    for rest in texts(nodes[1:]):
        yield from (head + rest for head in first)


def filled(templates: Iterable[str], **words: str) -> tuple[str, ...]:
    """The templates with words in the place of their names, in the order given."""
    out = []
    for text in templates:
        for name, word in words.items():
            text = text.replace(name, word)
        out.append(text)
    return tuple(out)


def unless_held(new: str, old: str) -> str:
    """The new text, but the old one where a list used so far holds the new one out."""
    return old if bare(new) in held_texts else new


def bare(text: str) -> str:
    """A wording without its case and its marks at the end."""
    return text.lower().rstrip("?.! ")


class Context:
    """What a task gets: the random numbers, and whether it makes held-out questions."""

    def __init__(self, seed: int, held: bool = False) -> None:
        self.rng = random.Random(seed)
        self.held = held
        self.dates = [a_date(self) for _ in range(DATES)]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def one(self, items: Sequence[Any]) -> Any:
        """One of the items, none reserved."""
        return items[int(self.rng.random() * len(items))]

    def pick(self, items: Sequence[str], *key: Any) -> str:
        """One of the words: a reserved one for a question, any other for training."""
        while True:
            item = self.one(items)
            if reserved(*key, item) == self.held:
                return item

    def walk(self, nodes: tuple[Any, ...]) -> str:
        """One of the texts that a parsed template stands for."""
        return "".join(node if isinstance(node, str) else self.walk(self.one(node))
                       for node in nodes)

    def say(self, template: str, **slots: Any) -> str:
        """One text of the template, its slots filled."""
        text = self.walk(parsed(template))
        for key, value in slots.items():
            text = text.replace("{" + key + "}", str(value))
        return text

    def any_of(self, templates: tuple[str, ...], **slots: Any) -> str:
        """One text of one of the templates, wordings that are not held out."""
        return self.say(self.one(templates), **slots)

    def answer(self, forms: Sequence[str], **slots: Any) -> str:
        """One form of an answer, mostly the first: forms drawn evenly would leave the choice to the
        last bit of a greedy model's sums, which is another on every device."""
        form = forms[0] if self.chance(FIRST_FORM) else self.one(forms[1:] or forms)
        return self.say(form, **slots)

    def ask(self, templates: tuple[str, ...], polite: float = 0.25, slips: float = 0.04,
            **slots: Any) -> str:
        """A user's sentence: held-out wordings only in questions; manners, case, typing slips."""
        training, held = divided(templates)
        text = self.walk(parsed(self.one(held if self.held else training)))
        if not self.held and slips > 0:
            shaken = self.shaken(text, polite > 0)
            text = unless_held(shaken, text)
            slips *= 2
        if self.chance(slips):
            text = self.slip(text)
        text = self.manners(text.replace("  ", " "), polite)
        for key, value in slots.items():
            text = text.replace("{" + key + "}", str(value))
        return text

    def slip(self, text: str) -> str:
        """Two letters swapped, one lost or doubled, in a longer word that is no slot."""
        words = text.split(" ")
        places = [i for i, w in enumerate(words) if len(w) > 4 and w.isalpha()]
        if not places:
            return text
        at = self.one(places)
        word = words[at]
        i = self.rng.randrange(1, len(word) - 2)
        words[at] = self.one((word[:i] + word[i + 1] + word[i] + word[i + 2:],
                              word[:i] + word[i + 1:], word[:i] + word[i] + word[i:]))
        return " ".join(words)

    def shaken(self, text: str, framed: bool) -> str:
        """Sometimes a word less or more, or another beginning; framed: something before or behind.
        """
        roll = self.rng.random()
        words = text.split(" ")
        if roll < 0.10:
            small = [i for i, w in enumerate(words) if w in DROPPED]
            if len(words) > 3 and small:
                del words[self.one(small)]
            return " ".join(words)
        if roll < 0.16 and len(words) > 2:
            at = self.rng.randrange(1, len(words))
            if "{" not in words[at - 1] + words[at]:  # what stands beside a slot may be read as it
                words.insert(at, self.one(FILLERS))
            return " ".join(words)
        if roll < 0.26:
            for old, others in STAND_INS:
                if text.startswith(old + " "):
                    return self.one(others) + text[len(old):]
            return text
        if roll < 0.34 and framed:
            return self.one(BEFORE) + (lower_first(text) if self.chance(0.7) else text)
        if roll < 0.40 and framed and len(words) > 2 and not WORDS_SLOT.search(words[-1]):
            return text.rstrip("?.!") + self.one(AFTER)
        return text

    def manners(self, text: str, polite: float) -> str:
        """A greeting or a please, a question mark or none, capitals or none."""
        if self.chance(polite):
            before, after = self.one((("Please ", ""), ("", ", please"), ("Hi, ", ""),
                                      ("Hello! ", ""), ("Hey, ", ""), ("", " please"),
                                      ("Quick question: ", ""), ("Tell me, ", ""), ("", ", thanks"),
                                      ("OK, ", ""), ("So, ", ""), ("Now ", "")))
            end = text[-1] if text[-1] in "?.!" else ""
            body = text[:-1] if end else text
            if before and not before.endswith("! ") and body[:2] != "I " and body[:2] != "I'":
                body = lower_first(body)
            text = before + body + after + end
        style = self.rng.random()
        if style < 0.10:
            text = lower_template(text)
        elif style < 0.18 and text[-1] in "?.":
            text = text[:-1]
        elif style < 0.22:
            text = lower_template(text.rstrip("?.!"))
        return text


def a_date(ctx: Context) -> str:
    """A day of these years, YYYY-MM-DD."""
    return (f"{ctx.rng.randrange(2024, 2031)}-{ctx.rng.randrange(1, 13):02d}-"
            f"{ctx.rng.randrange(1, 29):02d}")


def lower_first(text: str) -> str:
    """The first letter small, unless a slot comes first."""
    return text if text.startswith("{") else text[0].lower() + text[1:]


def lower_template(text: str) -> str:
    """Small letters everywhere (slots' names are small already)."""
    return text.lower()
