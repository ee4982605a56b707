"""Words where they stand without a space before them: at the start, in quotes, in brackets."""
from typing import Any

from grammar import Context, divided, unless_held

FRAMED, GLUED = 0.2, 0.15  # the shares of training's questions
SLOT = {"several": "{l}", "echo": "{t}"}  # where the words stand in the wordings; else {w}
NOUN = {"several": "words are", "echo": "text is"}
FRAMES = (
    "{w}: {a}", "{w}: {a}", "{w}: {a}", "{w} - {a}", "{w} - {a}", "{w}, {a}", "{w}, {a}",
    "{w}? {A}", "{w}. {A}", "{w}; {a}", "{w} ... {a}", "{w}:{a}", "{w},{a}", "{w}\n{A}",
    "{w} -> {a}", "({w}) {a}", "({w}): {a}", "[{w}] {a}", "[{w}]: {a}", '"{w}" {a}', '"{w}": {a}',
    '"{w}" - {a}', "'{w}' {a}", "'{w}': {a}", "`{w}`: {a}", "<{w}> {a}", "*{w}*: {a}",
    "the {n} {w}. {A}", "The {n} {w}. {A}", "The {n} {w}, {a}", 'The {n} "{w}". {A}',
    "My {n} {w}. {A}", "The {n}: {w}. {A}", "Here it comes: {w}. {A}", "I give you this: {w}. {A}",
    "Look at this: {w}. {A}", "Look: {w}. {A}", "{a}: {w}", "{a}:{w}", '{a}: "{w}"', '{a}:"{w}"',
    "{a}: ({w})", "{a} ({w})", "{a} [{w}]", "{A}\n{w}", "{a} -> {w}", "{a}, {w}", "{a} - {w}",
)
TAILS = {
    "spell": ("how do you spell this", "how do you spell it", "spell it", "spell this",
              "how is it spelled", "how is this spelled", "spell this word", "which letters has it",
              "letter by letter please", "how do I spell that", "what is the spelling"),
    "several": ("how do you spell these", "how do you spell them", "spell them", "spell these",
                "spell these words", "how are they spelled", "how are these spelled",
                "spell each word", "what are their letters", "letter by letter please"),
    "count": ("how many {l}s does it have", "how many {l}s are in it", "count the {l}s in it",
              "how often is {l} in it", "how many times does {l} occur", "how many {l}s"),
    "length": ("how many letters does it have", "how many letters has it", "how long is it",
               "count its letters", "how many letters is this", "how many letters are in it",
               "what is its length", "count the letters", "how long is this word"),
    "reverse": ("what is it backwards", "spell it backwards", "reverse it", "reverse this",
                "turn it around", "how is it written backwards", "read it from right to left",
                "write it from the last letter to the first", "start at the end and spell it",
                "say it backwards", "what is this in reverse", "write this backwards"),
    "first": ("what is its first letter", "which letter does it start with", "its first letter",
              "what letter does it begin with", "what is the first letter", "first letter please"),
    "last": ("what is its last letter", "which letter does it end with", "its last letter",
             "what letter does it end in", "what is the last letter", "last letter please"),
    "echo": ("say it", "repeat it", "say this", "repeat this", "type it", "type this", "print it",
             "print this", "write it out", "now you say it", "echo it", "echo this",
             "return this text", "output it", "answer with this", "copy it"),
}
CALLS = {
    "spell": ("spell", "letters", "spelling"), "several": ("spell", "spell_all", "letters"),
    "length": ("len", "length", "strlen"), "reverse": ("reverse", "reversed", "rev", "backwards"),
    "first": ("first", "first_letter"), "last": ("last", "last_letter"),
    "echo": ("print", "print", "say", "echo", "type", "write", "output", "puts", "repeat",
             "return"),
}
CALL_FORMS = ('{f}("{w}")', '{f}("{w}")', "{f}('{w}')", "{f}({w})", '{f} "{w}"', "{f} '{w}'",
              "{f}:{w}", "{f} ({w})")
MARKS = ('"{w}"', '"{w}"', "'{w}'", "'{w}'", "({w})", "[{w}]", "`{w}`", "<{w}>", '("{w}")')
SAID_MARKS = ('"{w}"', "'{w}'", "`{w}`", '"{w}"', "'{w}'")


def framed(ctx: Context, kind: str) -> str:
    """A word and a question about it, in one of many ways; the word as {w}."""
    if kind in CALLS and ctx.chance(0.2):
        return ctx.one(CALL_FORMS).replace("{f}", ctx.one(CALLS[kind]))
    tail = ctx.one(TAILS[kind])
    asking = tail[:4] in ("how ", "what", "whic")
    end = ctx.one(("?", "?", "") if asking else (".", "", ""))
    frame = ctx.one(FRAMES)
    end = end if frame.endswith("a}") or frame.endswith("A}") else ""
    return (frame.replace("{n}", NOUN.get(kind, "word is")).replace("{a}", tail)
            .replace("{A}", tail[0].upper() + tail[1:]) + end)


def glued(ctx: Context, kind: str, text: str) -> str:
    """The word in marks, or without the space before or behind it."""
    if ctx.chance(0.6):
        if kind == "several":
            return text.replace("{w}", ctx.one(("({w})", "[{w}]", "<{w}>")))
        mark = ctx.one(SAID_MARKS if kind == "echo" else MARKS)
        for old in ('"{w}"', "'{w}'", "({w})", "{w}"):
            if old in text:
                return text.replace(old, mark)
    for mark in (":", ",", ";"):
        text = text.replace(f"{mark} {{w}}", f"{mark}{{w}}")
        text = text.replace(f"{{w}}{mark} ", f"{{w}}{mark}")
    return text


def asked(ctx: Context, asks: tuple[str, ...], kind: str, words: str, slips: float = 0.04,
          **slots: Any) -> str:
    """The question about the words; in training the first piece of a word has all its forms."""
    slot = SLOT.get(kind, "{w}")
    divided(asks)
    text = ctx.ask(asks, slips=slips)
    if not ctx.held:
        roll = ctx.rng.random()
        other = text
        if roll < FRAMED:
            other = framed(ctx, kind).replace("{w}", slot)
        elif roll < FRAMED + GLUED:
            other = glued(ctx, kind, text.replace(slot, "{w}")).replace("{w}", slot)
        text = unless_held(other, text)
    for key, value in slots.items():
        text = text.replace("{" + key + "}", str(value))
    return text.replace(slot, words)
