"""Sums and comparisons, worked digit by digit: each step is one a small model can do."""
from ask_math import ASK_ADD, ASK_CHAIN, ASK_DIV, ASK_LESS, ASK_MORE, ASK_MUL, ASK_SUB
from ask_stories import STORIES
from ask_sums import MORE_ADD, MORE_DIV, MORE_MUL, MORE_SUB
from grammar import Context, divided, reserved, unless_held
from harmony import Conversation

NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
           "fifteen "
           "sixteen seventeen eighteen nineteen twenty").split()
SIGN = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
ANSWER = ("{a} {sign} {b} is {r}.", "{a} {sign} {b} = {r}.", "The answer is {r}.", "That is {r}.",
          "It is {r}.")


def work_add(a: int, b: int) -> str:
    """347+085: 7+5=12, 4+8+1=13, 3+0+1=4, so 432"""
    width = max(len(str(a)), len(str(b)))
    first, second = str(a).zfill(width), str(b).zfill(width)
    if width == 1:
        return f"{a}+{b}={a + b}"
    steps = []
    carry = 0
    for x, y in zip(reversed(first), reversed(second)):
        total = int(x) + int(y) + carry
        steps.append(f"{x}+{y}{'+1' if carry else ''}={total}")
        carry = total // 10
    return f"{first}+{second}: {', '.join(steps)}, so {a + b}"


def work_sub(a: int, b: int) -> str:
    """432-085: 12-5=7, 13-8-1=4, 4-0-1=3, so 347 (a ten borrowed is a 1 before the digit)"""
    if a < b:
        return f"{a} is less than {b}. {work_sub(b, a)}, so -{b - a}"
    width = len(str(a))
    first, second = str(a), str(b).zfill(width)
    if width == 1:
        return f"{a}-{b}={a - b}"
    steps = []
    borrow = 0
    for x, y in zip(reversed(first), reversed(second)):
        lack = int(x) - borrow < int(y)
        rest = int(x) - borrow - int(y) + 10 * lack
        steps.append(f"{'1' if lack else ''}{x}-{y}{'-1' if borrow else ''}={rest}")
        borrow = int(lack)
    return f"{first}-{second}: {', '.join(steps)}, so {a - b}"


def work_mul(a: int, b: int) -> str:
    """47*6: 7*6=42, 4*6=24, 24+4=28, so 282; up to 12 by 12 a fact of the table"""
    if a < 10 and b > 9:
        return work_mul(b, a) if b > 12 else f"{a}*{b}={a * b}"
    if a <= 12 and b <= 12:
        return f"{a}*{b}={a * b}"
    tens, ones = divmod(a, 10)
    low, high = ones * b, tens * b
    carry = low // 10
    text = f"{a}*{b}: {ones}*{b}={low}, {tens}*{b}={high}"
    return text + (f", {high}+{carry}={high + carry}" if carry else "") + f", so {a * b}"


def work_div(a: int, b: int) -> str:
    """59/7: 5*7=35, 6*7=42, 7*7=49, 8*7=56, 9*7=63 too much; 59-56=3, so 8 remainder 3

    Five times comes first; where that is too much, it begins anew with one times.
    """
    quotient, rest = divmod(a, b)
    steps = [] if quotient >= 5 else [f"5*{b}={5 * b} too much"]
    steps += [f"{k}*{b}={k * b}" for k in range(1 if quotient < 5 else 5, quotient + 1)]
    if rest == 0:
        return f"{a}/{b}: {', '.join(steps)}, so {quotient}"
    steps.append(f"{quotient + 1}*{b}={(quotient + 1) * b} too much")
    return (f"{a}/{b}: {', '.join(steps)}; {a}-{quotient * b}={rest}, "
            f"so {quotient} remainder {rest}")


def check(sign: str, a: int, b: int) -> str:
    """The same in another way, for high effort."""
    if sign == "+":
        return f"Check: {work_sub(a + b, b)}, right."
    if sign == "-":
        return f"Check: {work_add(a - b, b) if a >= b else work_add(b - a, a)}, right."
    if sign == "*":
        if max(a, b) <= 12:
            return f"Check: {b}*{a}={a * b}, right."
        a, b = max(a, b), min(a, b)
        up = -a % 10
        ten = a + up
        less = f", {up}*{b}={up * b}, {ten * b}-{up * b}={a * b}" if up else ""
        return f"Check: {ten}*{b}={ten * b}{less}, right."
    quotient, rest = divmod(a, b)
    text = f"Check: {work_mul(b, quotient)}" if b <= 12 else ""
    return text + (f", {quotient * b}+{rest}={a}" if rest else "") + ", right."


WORK = {"+": work_add, "-": work_sub, "*": work_mul, "/": work_div}
ASK = {"+": ASK_ADD + MORE_ADD, "-": ASK_SUB + MORE_SUB, "*": ASK_MUL + MORE_MUL,
       "/": ASK_DIV + MORE_DIV, "more": ASK_MORE, "less": ASK_LESS}
STORIED = 0.3  # of the conversations for training


def value(sign: str, a: int, b: int) -> str:
    """The result as it is said."""
    if sign == "/":
        quotient, rest = divmod(a, b)
        return f"{quotient} remainder {rest}" if rest else str(quotient)
    return str({"+": a + b, "-": a - b, "*": a * b}[sign])


def said(result: str) -> list[str]:
    """What every answer with this result has one of."""
    return [f"is {result}.", f"= {result}."]


def size(ctx: Context) -> int:
    """A number of one to three digits, each length often; one in eight has a digit twice."""
    if ctx.chance(0.125):
        x, y = ctx.rng.randrange(1, 10), ctx.rng.randrange(10)
        return int(ctx.one((f"{x}{x}", f"{x}{x}", f"{x}{x}{y}", f"{x}{y}{y}", f"{x}{y}{x}")))
    return ctx.rng.randrange(*ctx.one(((0, 10), (10, 100), (10, 100), (10, 100), (100, 1000),
                                       (100, 1000))))


def draw(ctx: Context, sign: str) -> tuple[int, int]:
    """Two numbers for the sign."""
    rng = ctx.rng
    if sign == "+":
        return size(ctx), size(ctx)
    if sign == "-":
        a, b = size(ctx), size(ctx)
        return (a, b) if a >= b or ctx.chance(0.25) else (b, a)
    if sign == "*":
        if ctx.chance(0.55):
            return rng.randrange(0 if ctx.chance(0.1) else 2, 13), rng.randrange(1, 13)
        a, b = rng.randrange(11, 100), rng.randrange(2, 10)
        return (a, b) if ctx.chance(0.75) else (b, a)
    b = rng.randrange(2, 5) if ctx.chance(0.3) else rng.randrange(2, 13)
    if ctx.chance(0.5):
        return b * rng.randrange(1, 13), b
    if b < 5:
        return b * rng.randrange(1, 13) + rng.randrange(1, b), b
    return rng.randrange(b, 13 * b), b


def numbers(ctx: Context, sign: str) -> tuple[int, int]:
    """Two numbers, reserved ones for questions alone; tables, known by heart, never are."""
    while True:
        a, b = draw(ctx, sign)
        table = a <= 12 and b <= 12 if sign == "*" else sign == "/" and (a % b == 0 or a <= 12)
        small = sign in "+-" and a < 10 and b < 10
        if table or small:
            if not ctx.held:
                return a, b
        elif reserved(sign, *sorted((a, b))) == ctx.held:
            return a, b


def reasoning(ctx: Context, effort: str, sign: str, a: int, b: int) -> str:
    """The working, as long as the effort asks."""
    work = WORK[sign](a, b)
    if effort == "low":
        return work + "."
    if effort == "high":
        return f"The user wants {a}{sign}{b}. I work out {work}. {check(sign, a, b)}"
    return f"I work out {work}."


def wording(ctx: Context, key: str, a: object, b: object) -> str:
    """What the user says; in training often one of the stories, none that is held out."""
    templates = ASK[key]
    if not ctx.held and ctx.chance(STORIED):
        divided(templates)  # now its held-out wordings are known
        story = unless_held(ctx.any_of(STORIES[key]), "")
        templates = (story,) if story else templates
    return ctx.ask(templates, a=a, b=b)


def chain(ctx: Context, c: Conversation) -> None:
    """Three numbers: one sum, then another."""
    while True:
        first, second = ctx.one("++-"), ctx.one("++-")
        a, b, d = (ctx.rng.randrange(1, 100) for _ in range(3))
        middle = a + b if first == "+" else a - b
        end = middle + d if second == "+" else middle - d
        if middle >= 0 and end >= 0 and reserved("chain", a, b, d) == ctx.held:
            break
    between = ctx.one(("", " "))
    text = between.join((str(a), first, str(b), second, str(d)))
    c.user(ctx.ask(ASK_CHAIN, s=text))
    work = f"first {WORK[first](a, b)}. Then {WORK[second](middle, d)}."
    c.think(work[0].upper() + work[1:] if c.effort == "low" else f"Two steps, {work}")
    c.answer(ctx.answer(("{s} is {r}.", "The answer is {r}.", "{s} = {r}."), r=end,
                        s=f"{a}{first}{b}{second}{d}"))
    c.expect = {"any": said(str(end))}


def arithmetic(ctx: Context, c: Conversation) -> None:
    """One sum, sometimes two in a row."""
    if ctx.chance(0.06):
        chain(ctx, c)
        return
    sign = ctx.rng.choices("+-*/", (27, 26, 20, 27))[0]
    a, b = numbers(ctx, sign)
    in_words = max(a, b) <= 20 and ctx.chance(0.12)
    c.user(wording(ctx, sign, NUMBERS[a] if in_words else a, NUMBERS[b] if in_words else b))
    result = value(sign, a, b)
    c.think(reasoning(ctx, c.effort, sign, a, b))
    c.answer(ctx.answer(ANSWER, a=a, b=b, sign=SIGN[sign], r=result))
    c.expect = {"any": said(result)}


def work_compare(a: int, b: int) -> str:
    """345, 354: 3=3, 4<5, so 345<354"""
    if a == b:
        return f"{a}={b}"
    sign = "<" if a < b else ">"
    if len(str(a)) != len(str(b)):
        return f"{a} has {len(str(a))}, {b} has {len(str(b))} digits, so {a}{sign}{b}"
    steps = []
    for x, y in zip(str(a), str(b)):
        steps.append(x + ("=" if x == y else sign) + y)
        if x != y:
            break
    return f"{a}, {b}: {', '.join(steps)}, so {a}{sign}{b}"


def compare(ctx: Context, c: Conversation) -> None:
    """Which of two numbers is larger or smaller."""
    while True:
        a, b = size(ctx), size(ctx)
        if ctx.chance(0.3):
            b = max(0, a + ctx.rng.randrange(-12, 13))
        if a != b and reserved("<", *sorted((a, b))) == ctx.held:
            break
    less = ctx.chance(0.4)
    c.user(wording(ctx, "less" if less else "more", a, b))
    work = work_compare(a, b)
    which = "The smaller" if less else "The larger"
    text = work if c.effort == "low" else f"{which} of two. {work}"
    if c.effort == "high":
        text += f". Check: {abs(a - b)} is the difference" if abs(a - b) < 10 else ""
    c.think(text + ".")
    r, other = (min(a, b), max(a, b)) if less else (max(a, b), min(a, b))
    word = "smaller" if less else "larger"
    c.answer(ctx.answer(("{r} is {word} than {o}.", "{r} is {word}.", "It is {r}."), r=r, o=other,
                        word=word))
    c.expect = {"any": [f"{r} is ", f"It is {r}."]}
