"""Several turns, the last of which refers back to what was said."""
import task_facts
import task_math
import task_talk
import task_tools
import task_units
import task_unknown
import task_words
from ask_letters import ASK_COUNT, ASK_LENGTH, ASK_SPELL
from ask_tell import TELL
from ask_turns import AGAIN, FIRST, LAST, MORE_DEVICE, MORE_PLACE, THEN, WHICH, WORD_THEN
from ask_words import ASK_REVERSE
from grammar import Context, reserved
from harmony import LETTERS, Conversation
from tool_more import tools
from words import BOT_NAMES, CITIES, COLORS, FOODS, NAMES, PETS


def settle(c: Conversation) -> None:
    """Makes what was answered so far the past: no reasoning, nothing to be learnt."""
    c.messages = [m for m in c.messages if m.channel != "analysis"]
    for m in c.messages:
        m.learn = False


def filler(ctx: Context, c: Conversation) -> None:
    """A turn about something else."""
    tasks = (task_talk.small, task_facts.facts, task_unknown.unknown, task_math.arithmetic,
             task_talk.who, task_words.spell, task_words.count, task_units.units, task_talk.taste)
    ctx.rng.choices(tasks, (8, 6, 3, 5, 4, 1, 1, 1, 1))[0](ctx, c)
    settle(c)


def sum_on(ctx: Context, c: Conversation) -> None:
    """A sum, then another with its result."""
    for _ in range(99):
        sign = ctx.rng.choices("+-*", (4, 3, 2))[0]
        a, b = task_math.numbers(ctx, sign)
        first = int(task_math.value(sign, a, b))
        next_sign = ctx.rng.choices("+-*", (3, 3, 4))[0]
        second = ctx.rng.randrange(2, 10) if next_sign == "*" else ctx.rng.randrange(1, 100)
        fits = {"+": first < 900, "-": second <= first < 900, "*": 1 < first < 100}[next_sign]
        if first >= 0 and fits and (ctx.held or not reserved(next_sign, *sorted((first, second)))):
            break
    c.user(task_math.wording(ctx, sign, a, b))
    c.past(ctx.answer(task_math.ANSWER, a=a, b=b, sign=task_math.SIGN[sign], r=first))
    c.user(ctx.ask(THEN[next_sign], 0.1, b=second))
    c.think(task_math.reasoning(ctx, c.effort, next_sign, first, second))
    result = task_math.value(next_sign, first, second)
    c.answer(ctx.answer(task_math.ANSWER, a=first, b=second, sign=task_math.SIGN[next_sign],
                        r=result))
    c.expect = {"any": task_math.said(result)}


def word_on(ctx: Context, c: Conversation) -> None:
    """A word, then another task with the same word."""
    word = task_words.a_word(ctx, task_words.SHORT, 7)
    letter = task_words.a_letter(ctx, word)
    kinds = ctx.rng.sample(("spell", "length", "count", "reverse"), 2)
    lead = {"spell": (ASK_SPELL, f"{word} is spelled {task_words.spelled(word)}."),
            "length": (ASK_LENGTH, f'"{word}" has {len(word)} letters.'),
            "count": (ASK_COUNT, None),
            "reverse": (ASK_REVERSE, f'{word} backwards is "{word[::-1]}".')}
    asks, said = lead[kinds[0]]
    number = word.count(letter)
    count_said = f"{word} has {number if number else 'no'} {letter}{'s' if number > 1 else ''}."
    c.user(ctx.ask(asks, w=word, l=letter))
    said = said or count_said
    if kinds[0] == "reverse" and ctx.chance(0.6):  # as the model wrote it, or as it is read anew
        said = f'{word} backwards is "{LETTERS}{word[::-1]}{LETTERS}".'
    c.past(said)
    c.user(ctx.ask(WORD_THEN[kinds[1]], 0.1, l=letter))
    start = "" if c.effort == "low" else f"The word is {word}. "
    if kinds[1] == "reverse":
        c.think(f"{start}{task_words.numbered(word)}, from the end {task_words.backwards(word)}.")
        c.answer(f'{word} backwards is "{LETTERS}{word[::-1]}{LETTERS}".')
        c.expect = {"all": [f'"{word[::-1]}"']}
    elif kinds[1] == "length":
        c.think(f"{start}I count the letters: {task_words.numbered(word)}, so {len(word)}.")
        c.answer(f"{word} has {len(word)} letters.")
        c.expect = {"all": [f"has {len(word)} letters"]}
    elif kinds[1] == "count":
        c.think(f"{start}Look for {letter}: {task_words.marked(word, letter)}, so {number}.")
        c.answer(count_said)
        c.expect = {"all": [count_said[len(word):]]}
    else:
        c.think(f"{start}{task_words.spelled(word)}.")
        c.answer(f"{word} is spelled {task_words.spelled(word)}.")
        c.expect = {"all": [task_words.spelled(word)]}


def what_was_said(ctx: Context, c: Conversation) -> None:
    """The first or the last thing the user said, or the answer once more."""
    for _ in range(ctx.rng.choices((1, 2), (60, 40))[0]):
        filler(ctx, c)
    c.tools = []
    users = [m.content for m in c.messages if m.role == "user"]
    kind = ctx.one(("first", "last") if ctx.held else ("first", "last", "again"))
    if kind == "again":
        said = c.messages[-1].content
        c.user(ctx.ask(AGAIN, 0.1))
        task_talk.think(c, "I say it again.", "The user wants my last answer again.")
        c.answer(said)
        c.expect = {"all": [said]}
        return
    said = users[0] if kind == "first" else users[-1]
    c.user(ctx.ask(FIRST if kind == "first" else LAST, 0.1))
    task_talk.think(c, f"I look at the {kind} message.",
                    f"The user asks for the {kind} message: {said}")
    c.answer(f'{"First" if kind == "first" else "Just now"} you said: "{said}"')
    c.expect = {"all": [said]}


# What is said when it is told, and answered later.
TOLD = {
    "name": (("Hello {x}, nice to meet you!", "Nice to meet you, {x}!"), "Your name is {x}."),
    "colour": (("{x} is a fine colour!", "I will remember that: {x}."), "You like {x}."),
    "city": (("{x}, how nice!", "I will remember that: {x}."), "You are from {x}."),
    "pet": (("A {x}, how nice!", "I will remember that: a {x}."), "You have a {x}."),
    "food": (("{x}, good taste!", "I will remember that: {x}."), "You like {x}."),
    "number": (("All right, {x}.", "I will remember that: {x}."), "Your number is {x}."),
}


def told(ctx: Context, kind: str) -> str:
    """What the user tells of the kind."""
    if kind == "number":
        return str(ctx.rng.randrange(1, 1000))
    if kind == "name" and not ctx.held and ctx.chance(0.25):
        return task_words.made_up(ctx, 8).capitalize()
    return ctx.pick({"name": NAMES + BOT_NAMES, "colour": COLORS, "city": CITIES,
                     "pet": PETS * 9 + ("ferret", "hen", "pig", "duck"),
                     "food": FOODS}[kind], kind) if kind in ("name", "city") else \
        ctx.one({"colour": COLORS, "pet": PETS, "food": FOODS}[kind])


def remember(ctx: Context, c: Conversation) -> None:
    """What the user told of himself, asked later; or asked without having been told."""
    kind = ctx.rng.choices(list(TELL), (6, 2, 2, 2, 2, 2))[0]
    tell, ask = TELL[kind]
    reply, answer = TOLD[kind]
    if ctx.chance(0.2):
        if ctx.chance(0.4):
            filler(ctx, c)
            c.tools = []
        c.user(ctx.ask(ask))
        task_talk.think(c, "I was not told.", "The user did not tell me this.")
        c.answer("You did not tell me yet.")
        c.expect = {"all": ["did not tell"]}
        return
    x = told(ctx, kind)
    c.user(ctx.ask(tell, 0, x="{x}").replace("{x}", x))
    said = ctx.answer(reply)
    if ctx.chance(0.3):  # the telling turn itself is learnt
        greets = kind == "name"
        task_talk.think(c, f"The user {'is' if greets else 'says'} {x}.",
                        f"The user tells me {'the name' if greets else 'this'}: {x}. "
                        f"{f'I greet {x}' if greets else 'I will remember it'}.")
        said = said.replace("{x}", x)
        c.answer(said[0].upper() + said[1:])
        c.expect = {"all": [x if greets else x[1:]]}
        return
    said = said.replace("{x}", x)
    c.past(said[0].upper() + said[1:])
    if ctx.chance(0.35):
        filler(ctx, c)
        c.tools = []
    c.user(ctx.ask(ask, 0.1))
    task_talk.think(c, f"The user said {x}.", f"The user told me before: {x}.")
    c.answer(answer.replace("{x}", x))
    c.expect = {"all": [x]}


def tool_on(ctx: Context, c: Conversation) -> None:
    """A call in an earlier turn, then the same for another place or device, or what it was."""
    while True:
        made = tools(ctx, 1)
        request = made[0].request(ctx)
        keys = [key for key, value in request.arguments.items()
                if isinstance(value, str) and value in request.need
                and "enum" not in made[0].schema["parameters"]["properties"][key]]
        if keys and made[0].kind not in ("message", "music", "weather", "color", "move"):
            break
    tool, key = made[0], keys[-1]
    value = request.arguments[key]
    if tool.kind == "sensor":
        key, value = next((k, v) for k, v in request.arguments.items()
                          if f"in the {v}" in request.need)
    c.tools = [tool.schema]
    c.user(request.says)
    c.call(tool.name, request.arguments, learn=False)
    c.result(tool.name, request.result)
    c.past(request.answer)
    if ctx.chance(0.2):  # something else, with the tools still there
        ctx.one((task_math.arithmetic, task_facts.facts, task_talk.small, task_words.count,
                 task_unknown.unknown))(ctx, c)
        c.expect["calls"] = []
        return
    if ctx.chance(0.3):
        if tool.kind in ("switch", "turn_on", "turn_off", "light", "lock"):
            word = ctx.one(("switch", "device"))
            c.user(ctx.ask(WHICH, 0.1, k={"light": "light", "lock": "door"}.get(tool.kind, word)))
        else:
            c.user(ctx.ask(AGAIN, 0.1))
        task_talk.think(c, "I look at my last answer.", "The user asks about my last answer.")
        c.answer(request.answer)
        c.expect = {"calls": [], "all": task_tools.sure(request, request.answer)}
        return
    other = tool.request(ctx)
    while other.arguments[key] == value:
        other = tool.request(ctx)
    place = other.arguments[key]
    arguments = {**request.arguments, key: place}
    need = request.need.replace(str(value), str(place))
    number = task_tools_value(request, other)
    c.user(ctx.ask(MORE_DEVICE if tool.kind in ("switch", "turn_on", "turn_off", "light",
                                                "lock") else MORE_PLACE, 0.1, p=place))
    from tool_kinds import Request
    again = Request("", arguments, need,
                    request.result.replace(str(value), str(place)).replace(*number),
                    request.answer.replace(str(value), str(place)).replace(*number))
    task_tools.plan(c, tool, again)
    c.call(tool.name, arguments)
    c.result(tool.name, again.result)
    if c.effort == "high":
        c.think("I have the result.")
    c.answer(again.answer)
    task_tools.expect(c, [(tool, again)])


def task_tools_value(request, other) -> tuple[str, str]:
    """(the value measured, another one): nothing to replace where nothing is measured."""
    import re
    old, new = (re.search(r" is (-?\d+(?:\.\d)?)", r.answer) for r in (request, other))
    return (old.group(1), new.group(1)) if old and new else ("\0", "")


def turns(ctx: Context, c: Conversation) -> None:
    """One of these."""
    ctx.rng.choices((sum_on, word_on, what_was_said, remember, tool_on),
                    (26, 18, 14, 26, 16))[0](ctx, c)
