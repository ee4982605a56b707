"""Letters: spelling, counting, turning round. The word is written out letter by letter first.

Half of the words are made up, of pieces of the vocabulary or of syllables, so that the model learns
the letters of every token it has and not a list of words.
"""
from ask_letters import ASK_COUNT, ASK_LENGTH, ASK_SPELL
from ask_words import ASK_ECHO, ASK_FIRST, ASK_LAST, ASK_REVERSE, ASK_SEVERAL
from grammar import Context, reserved
from harmony import LETTERS, Conversation
from words import COMMON, SHORT
from words_frames import asked

ONSETS = ("b", "bl", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l",
          "m", "n",
          "p", "pl", "qu", "r", "s", "sh", "sl", "st", "t", "th", "tr", "v", "w", "z", "")
VOWELS = ("a", "e", "i", "o", "u", "ee", "oo", "ai", "ou", "ea", "ie", "y")
CODAS = ("", "", "n", "r", "l", "t", "s", "m", "ck", "nd", "st", "p", "x", "ng", "ll", "ss")
fragments: list[str] = []


def use_fragments(tokens: list[bytes]) -> None:
    """Tells which pieces of letters the vocabulary has; made-up words are made of them.

    A piece that is a held-out word is never spelled alone, so it comes more often in others."""
    pieces = sorted({text for text in (t.decode("latin-1").strip(" -\"'_.").lower()
                                             for t in tokens) if text.isascii() and text.isalpha()})
    fragments[:] = pieces + 4 * [piece for piece in pieces if reserved("word", piece)]


def made_up(ctx: Context, longest: int) -> str:
    """A word of syllables, or of pieces of the vocabulary."""
    while True:
        if fragments and ctx.chance(0.7):
            word = "".join(ctx.one(fragments) for _ in range(ctx.rng.randrange(1, 4)))
        else:
            word = "".join(ctx.one(ONSETS) + ctx.one(VOWELS) + ctx.one(CODAS)
                           for _ in range(ctx.rng.randrange(1, 4)))
        if 2 < len(word) <= longest:
            return word


def a_word(ctx: Context, words: tuple[str, ...] = COMMON, longest: int = 11) -> str:
    """A word to spell: a common one (some reserved for questions) or a made-up one."""
    while True:
        word = ctx.one(words) if ctx.held or ctx.chance(0.5) else made_up(ctx, longest)
        if len(word) <= 12 and reserved("word", word) == ctx.held:
            return word


def spelled(word: str) -> str:
    """s-t-o-n-e"""
    return "-".join(word)


def styled(ctx: Context, word: str) -> str:
    """As the user writes it; mostly small."""
    return word.capitalize() if not ctx.held and ctx.chance(0.08) else word


def spell(ctx: Context, c: Conversation) -> None:
    """Letters of a word."""
    word = a_word(ctx)
    c.user(asked(ctx, ASK_SPELL, "spell", styled(ctx, word)))
    if c.effort == "medium":
        c.think(f"Spell {word}: {spelled(word)}.")
    elif c.effort == "high":
        c.think(f"Spell {word}: {spelled(word)}. Check: {numbered(word)}, {len(word)} letters.")
    c.answer(ctx.answer(("{w} is spelled {s}.", "{w}: {s}.", "The letters are {s}."), w=word,
                        s=spelled(word)))
    c.expect = {"all": [spelled(word)]}


def listed(ctx: Context, words: list[str]) -> str:
    """A list as users write it: commas, mostly; semicolons, quotes, nothing but an 'and'."""
    mark = ctx.one(("", "", "", "", '"', "'"))
    words = [mark + word + mark for word in words]
    if not ctx.held and ctx.chance(0.25):  # no space before the words, or nothing but spaces
        return ctx.one((",", ",", ";", "/", "|", "+", " ", "\n", ", ")).join(words)
    comma = ", ".join(words[:-1])
    return ctx.one((f"{comma} and {words[-1]}", f"{comma} and {words[-1]}", ", ".join(words),
                    ", ".join(words), f"{comma}, and {words[-1]}", "; ".join(words),
                    " and ".join(words), ",".join(words), f"{comma} & {words[-1]}",
                    " ".join(words)))


def several(ctx: Context, c: Conversation) -> None:
    """A list of words spelled: many pieces of the vocabulary in few tokens."""
    words = [a_word(ctx) for _ in range(ctx.rng.randrange(2, 7))]
    c.user(asked(ctx, ASK_SEVERAL, "several", listed(ctx, words)))
    c.think({"low": "", "medium": f"{len(words)} words.",
             "high": f"The user wants {len(words)} words spelled."}[c.effort])
    c.answer("; ".join(f"{word}: {spelled(word)}" for word in words) + ".")
    c.expect = {"all": [spelled(word) for word in words]}


def numbered(word: str) -> str:
    """s1 t2 o3 n4 e5"""
    return " ".join(f"{letter}{i + 1}" for i, letter in enumerate(word))


def backwards(word: str) -> str:
    """e5 n4 o3 t2 s1"""
    return " ".join(f"{word[i]}{i + 1}" for i in reversed(range(len(word))))


def length(ctx: Context, c: Conversation) -> None:
    """How many letters a word has."""
    word = a_word(ctx)
    c.user(asked(ctx, ASK_LENGTH, "length", styled(ctx, word)))
    work = f"{numbered(word)}, so {len(word)}."
    if c.effort == "medium":
        work = f"I count the letters: {work}"
    elif c.effort == "high":
        work = f"The letters of {word}: {spelled(word)}. I count them: {work}"
    c.think(work)
    c.answer(ctx.answer(('"{w}" has {n} letters.', "{w} has {n} letters.", "It has {n} letters."),
                        w=word, n=len(word)))
    c.expect = {"all": [f"has {len(word)} letters"]}


def marked(word: str, letter: str) -> str:
    """b a=1 n a=2 n a=3"""
    out, count = [], 0
    for char in word:
        count += char == letter
        out.append(f"{char}={count}" if char == letter else char)
    return " ".join(out)


def a_letter(ctx: Context, word: str) -> str:
    """A letter to count: mostly one of the word's, often one that comes twice."""
    twice = [char for char in word if word.count(char) > 1]
    if twice and ctx.chance(0.5):
        return ctx.one(twice)
    return ctx.one(word) if ctx.chance(0.85) else ctx.one("abcdefghijklmnopqrstuvwxyz")


def count(ctx: Context, c: Conversation) -> None:
    """How often a letter is in a word."""
    word = a_word(ctx)
    letter = a_letter(ctx, word)
    number = word.count(letter)
    c.user(asked(ctx, ASK_COUNT, "count", styled(ctx, word), l=styled(ctx, letter)))
    work = f"{marked(word, letter)}, so {number}."
    if c.effort == "medium":
        work = f"Look for {letter}: {work}"
    elif c.effort == "high":
        work = f"The letters of {word}: {spelled(word)}. Look for {letter}: {work}"
    c.think(work)
    times = {0: "no {l}", 1: "1 {l}"}.get(number, "{n} {l}s")
    c.answer(ctx.answer((f'"{{w}}" has {times}.', f"{{w}} has {times}.",
                         f"There {'are' if number != 1 else 'is'} {times} in {{w}}."),
                        w=word, l=letter, n=number))
    shown = f"{number or 'no'} {letter}"
    c.expect = {"any": [f"has {shown}", f"is {shown}", f"are {shown}"]}


def reverse(ctx: Context, c: Conversation) -> None:
    """A short word backwards; the answer is written by letters."""
    word = a_word(ctx, SHORT, 7)
    c.user(asked(ctx, ASK_REVERSE, "reverse", styled(ctx, word)))
    turned = word[::-1]
    work = f"{numbered(word)}, from the end {backwards(word)}."
    if c.effort == "medium":
        work = f"The letters: {work}"
    elif c.effort == "high":
        check = f"Check: it starts with {turned[0]}, ends with {turned[-1]}."
        work = f"The letters of {word}: {work} {check}"
    c.think(work)
    c.answer(ctx.answer(('{w} backwards is "{t}".', 'Backwards it is "{t}".', '"{t}"'), w=word,
                        t=LETTERS + turned + LETTERS))
    c.expect = {"all": [f'"{turned}"']}


def ends(ctx: Context, c: Conversation) -> None:
    """First or last letter."""
    word = a_word(ctx)
    first = ctx.chance(0.5)
    c.user(asked(ctx, ASK_FIRST if first else ASK_LAST, "first" if first else "last",
                 styled(ctx, word)))
    letter = word[0] if first else word[-1]
    c.think(f"The letters of {word}: "
            f"{spelled(word)}." if c.effort != "low" else f"{spelled(word)}.")
    c.answer(f"The {'first' if first else 'last'} letter of {word} is {letter}.")
    c.expect = {"all": [f" is {letter}."]}


def echo(ctx: Context, c: Conversation) -> None:
    """A few words said again."""
    count = ctx.rng.randrange(1, 5)
    words = [ctx.one(COMMON) if ctx.chance(0.4) else made_up(ctx, 9) for _ in range(count)]
    if ctx.chance(0.2):
        words.insert(ctx.rng.randrange(count + 1), str(ctx.rng.randrange(1, 1000)))
    text = " ".join(words)
    # no slips: what comes behind the text would seem to belong to it
    c.user(asked(ctx, ASK_ECHO, "echo", text, slips=0, s="s" if len(words) > 1 else ""))
    c.think({"low": "", "medium": "I say it.",
             "high": f"The user wants me to say: {text}"}[c.effort])
    c.answer(text)
    c.expect = {"all": [text]}


def letters(ctx: Context, c: Conversation) -> None:
    """One of the tasks with letters."""
    ctx.rng.choices((spell, several, length, count, reverse, ends, echo),
                       (16, 24, 13, 17, 14, 5, 11))[0](ctx, c)
