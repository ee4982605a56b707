"""Units: each conversion with its rule and the working."""
from ask_units import ASK, ASK_HEAT, ASK_ONE
from grammar import Context, reserved
from harmony import Conversation
from task_math import work_add, work_mul, work_sub

# (from, its names, to, its names, factor or divisor, divides)
SCALES = (
    ("km", ("km", "kilometers", "kilometres"), "m", ("m", "meters", "metres"), 1000),
    ("m", ("m", "meters", "metres"), "cm", ("cm", "centimeters", "centimetres"), 100),
    ("cm", ("cm", "centimeters", "centimetres"), "mm", ("mm", "millimeters", "millimetres"), 10),
    ("kg", ("kg", "kilograms", "kilos"), "g", ("g", "grams", "gram"), 1000),
    ("l", ("liters", "litres", "l"), "ml", ("ml", "milliliters", "millilitres"), 1000),
    ("hours", ("hours", "h", "hrs"), "minutes", ("minutes", "min", "mins"), 60),
    ("minutes", ("minutes", "min", "mins"), "seconds", ("seconds", "s", "secs"), 60),
    ("days", ("days",), "hours", ("hours", "h"), 24),
    ("weeks", ("weeks",), "days", ("days",), 7),
    ("inches", ("inches", "inch", "in"), "cm", ("cm", "centimeters", "centimetres"), 254),
)


def draw(ctx: Context, low: int, high: int, *key: str) -> int:
    """A number for a conversion; reserved ones for questions, but what 1 is one has to know."""
    held = [n for n in range(low, high) if n != 1 and reserved(*key, n)] or [(low + 2 * high) // 3]
    return ctx.one(held if ctx.held else [n for n in range(low, high) if n not in held])


def work_scale(n: int, frm: str, to: str, factor: int) -> tuple[str, str]:
    """(working, result) of n small units of a larger one: n * factor."""
    if factor in (10, 100, 1000):
        zeros = len(str(factor)) - 1
        return (f"1 {frm} is {factor} {to}. {n} and {zeros} zero{'s' if zeros > 1 else ''}: "
                f"{n * factor}",
                str(n * factor))
    if factor == 60:
        work = f"{work_mul(n, 6)}, and 1 zero: {n * 60}"
        return f"1 {frm.rstrip('s')} is 60 {to}. {work}", str(n * 60)
    if factor == 254:
        text = f"{n * 254 // 100}.{n * 254 % 100:02d}".rstrip("0").rstrip(".")
        if n == 10:
            return "1 inch is 2.54 cm. 10*2.54=25.4", text
        high, low = n * 2, n * 54
        return (f"1 inch is 2.54 cm. {n}*2={high}, {work_mul(54, n)}, "
                f"{high}+{low // 100}={high + low // 100}, so {text}",
                text)
    work = work_mul(n, 7) if factor == 7 else work_mul(factor, n)
    return f"1 {frm.rstrip('s')} is {factor} {to}. {work}", str(n * factor)


def work_back(n: int, frm: str, to: str, factor: int) -> tuple[str, str]:
    """(working, result) of the other way, n a multiple of the factor."""
    if factor in (10, 100, 1000):
        zeros = len(str(factor)) - 1
        return (f"{factor} {frm} are 1 {to}. {n} without {zeros} zero{'s' if zeros > 1 else ''}: "
                f"{n // factor}",
                str(n // factor))
    if factor == 60:
        k = n // 60
        work = f"{n // 10} without the zero, {k}*6={k * 6}, so {k}"
        return f"60 {frm} are 1 {to.rstrip('s')}. {work}", str(k)
    k = n // factor
    steps = ", ".join(f"{i}*{factor}={i * factor}" for i in range(1, k + 1))
    return f"{factor} {frm} are 1 {to.rstrip('s')}. {steps}, so {k}", str(k)


def nines(n: int) -> str:
    """117/9: 10*9=90, 117-090: 7-0=7, 11-9=2, 1-0-1=0, so 27, 3*9=27, so 13"""
    k = n // 9
    if k <= 10:
        return f"{k}*9={n}, so {k}"
    tens = k // 10 * 10
    rest = n - tens * 9
    return (f"{n}/9: {tens}*9={tens * 9}, {work_sub(n, tens * 9)}, {k - tens}*9={rest}, so {k}"
            if rest else f"{n}/9: {tens}*9={n}, so {k}")


def one_of(ctx: Context, name: str) -> str:
    """an hour, one hour, 1 hour"""
    single = name[:-2] if name == "inches" else name[:-1] if len(name) > 3 and name.endswith(
        "s") else name
    if len(single) < 3 or name == "hrs":
        return f"1 {single}"
    article = "an" if single in ("hour", "inch") else "a"
    return f"{ctx.one((article, article, 'one', '1'))} {single}"


def asked(ctx: Context, n: int, frm: str, to: str) -> str:
    """The question; a short name is sometimes written at its number, 5km."""
    if n == 1 and ctx.chance(0.7):
        return ctx.ask(ASK_ONE, one=one_of(ctx, frm), to=to)
    text = ctx.ask(ASK, n=n, frm=frm, to=to)
    return text.replace(f"{n} {frm}", f"{n}{frm}", 1) if len(frm) < 3 and ctx.chance(0.3) else text


def heat(ctx: Context, c: Conversation) -> None:
    """Celsius and Fahrenheit, whole results."""
    celsius = 5 * draw(ctx, -2, 41, "celsius")
    f = celsius * 9 // 5 + 32
    fifth = abs(celsius) // 5
    if ctx.chance(0.6):
        c.user(ctx.ask(ASK_HEAT, n=celsius, frm=ctx.one(("Celsius", "C", "celsius")),
                       to=ctx.one(("Fahrenheit", "F", "fahrenheit"))))
        if celsius < 0:
            work = f"{celsius}/5=-{fifth}, -{fifth}*9=-{fifth * 9}, 32-{fifth * 9}={f}"
        else:
            double = work_mul(celsius, 2) if celsius < 100 else work_add(celsius, celsius)
            work = (f"{double}, {celsius * 2}/10={fifth}, {work_mul(fifth, 9)}, "
                    f"{work_add(fifth * 9, 32)}")
        rule, r = "F = C/5*9+32. ", f
        answer = f"{celsius} degrees Celsius are {f} degrees Fahrenheit."
    else:
        c.user(ctx.ask(ASK_HEAT, n=f, frm=ctx.one(("Fahrenheit", "F", "fahrenheit")),
                       to=ctx.one(("Celsius", "C", "celsius"))))
        if celsius < 0:
            work = f"{f}-32={f - 32}, {f - 32}/9=-{fifth}, -{fifth}*5={celsius}"
        else:
            work = f"{work_sub(f, 32)}, {nines(f - 32)}, {work_mul(fifth, 5)}"
        rule, r = "C = (F-32)/9*5. ", celsius
        answer = f"{f} degrees Fahrenheit are {celsius} degrees Celsius."
    c.think(work + "." if c.effort == "low" else rule + work + ".")
    c.answer(answer)
    c.expect = {"any": [f"are {r} ", f"is {r} ", f"= {r} "]}


def units(ctx: Context, c: Conversation) -> None:
    """One conversion."""
    if ctx.chance(0.22):
        heat(ctx, c)
        return
    # days, weeks and inches have few numbers: in training they come twice as often
    big, big_names, little, little_names, factor = ctx.one(
        SCALES if ctx.held else SCALES + SCALES[-3:])
    back = factor != 254 and ctx.chance(0.35 if ctx.held or factor in (10, 100, 1000) else 0.45)
    if factor in (10, 100, 1000):
        n = draw(ctx, 1, 100, big, little)
    else:
        n = draw(ctx, 1, {60: 25 if back else 100, 24: 10, 7: 13 if back else 60, 254: 11}[factor],
                 big, little)
    small = [k for k in (1, 1, 2, 3) if k == 1 or not reserved(big, little, k)]
    if not ctx.held and ctx.chance(0.25):  # these few are what is asked most
        n = ctx.one(small)
    if not back:
        c.user(asked(ctx, n, ctx.one(big_names), ctx.one(little_names)))
        work, result = work_scale(n, big, little, factor)
        frm, to, shown = big, little, n
    else:
        shown = n * factor
        c.user(asked(ctx, shown, ctx.one(little_names), ctx.one(big_names)))
        work, result = work_back(shown, little, big, factor)
        frm, to = little, big
    text = work + "."
    if c.effort == "high":
        check = "" if factor == 254 else f" Check: {n}*{factor}={n * factor}, right."
        text = f"From {frm} to {to}. {text}{check}"
    c.think(text)
    singular = {"hours": "hour", "minutes": "minute", "days": "day", "weeks": "week",
                "inches": "inch"}
    left = singular.get(frm, frm) if shown == 1 else frm
    right = singular.get(to, to) if result == "1" else to
    c.answer(ctx.answer((f"{{n}} {left} {'is' if shown == 1 else 'are'} {{r}} {right}.",
                         f"That is {{r}} {right}.",
                         f"{{n}} {left} = {{r}} {right}."), n=shown, r=result))
    c.expect = {"any": [f"are {result} ", f"is {result} ", f"= {result} "]}
