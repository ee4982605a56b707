"""Tools that tell a state, remind, and keep a list (see tool_kinds.py)."""
import tool_says as say
from grammar import Context
from tool_asks import DEVICE_STATE, LOCK_STATE, OPENING_STATE
from tool_kinds import (DEVICE_KEYS, PLACE_KEYS, Request, Tool, done, function, name_of, number,
                        text)
from tool_names import names
from words import CHORES, COMMON, FOODS


def is_on(ctx: Context) -> Tool:
    """Tells if a device is on."""
    key = ctx.one(DEVICE_KEYS)
    name = name_of(ctx, ("get", "read", "check", "query", "is", "fetch", "show"),
                   ("state", "device_state", "switch_state", "power_state", "device", "on",
                    "device_status", "running"))
    called = names(ctx, "device")

    def request(ctx: Context) -> Request:
        device, on = called.one(ctx), ctx.chance(0.5)
        word = "on" if on else "off"
        truth = "true" if on else "false"
        says = called.said(ctx, ctx.ask(DEVICE_STATE, d=device), device)
        result = ctx.one((f'{{"state":"{word}"}}', f'{{"on":{truth}}}', word, f'{{"on": {truth}}}',
                          f'{{"ok":true,"value":"{word}"}}', f'{{"ok":true,"on":{truth}}}',
                          f'{{"device":"{device}","state":"{word}"}}', f'"{word}"',
                          f"{device}: {word}", f'{{"value":{truth}}}', f'{{"value": "{word}"}}'))
        it = called.the(device)
        answer = f"It is {word}: {it}." if called.bare else f"The {device} is {word}."
        return Request(says, {key: device}, f"the state of {it}", result, answer)
    describe = ctx.one(("Tells if a device is on.", "State of a device.", "Is a device on or off?",
                        "Gives the state of a switch.", "Returns if something is on."))
    parts = {key: text(ctx, ("Which device", "Name of the device"))}
    return Tool("device state", function(name, describe, **parts), request)


def opening(ctx: Context) -> Tool:
    """Tells if a door or a window is open."""
    thing = ctx.one(("door", "window", "window"))
    key = ctx.one(PLACE_KEYS)
    name = name_of(ctx, ("get", "check", "read", "query", "is", "show", "fetch"),
                   (thing, f"{thing}_state", f"{thing}_open", f"{thing}_contact",
                    f"{thing}_sensor"))
    called = names(ctx, "place")

    def request(ctx: Context) -> Request:
        place, is_open = called.one(ctx), ctx.chance(0.5)
        word = "open" if is_open else "closed"
        truth = "true" if is_open else "false"
        says = called.said(ctx, ctx.ask(OPENING_STATE, p=place, o=thing), place)
        result = ctx.one((f'{{"state":"{word}"}}', f'{{"open":{truth}}}', word, f'"{word}"',
                          f'{{"open": {truth}}}', f'{{"ok":true,"value":"{word}"}}',
                          f'{{"{thing}":"{word}"}}', f'{{"ok":true,"open":{truth}}}',
                          f'{{"room":"{place}","{thing}":"{word}"}}', f"{thing}: {word}"))
        where = f"the {thing} in {called.the(place)}"
        return Request(says, {key: place}, where, result, f"The {where[4:]} is {word}.")
    describe = ctx.one(("Tells if a {o} is open.", "State of a {o}.", "Is the {o} of a room open?",
                        "Asks the contact of a {o}.", "Gives the state of a {o}."))
    return Tool(thing, function(name, describe.replace("{o}", thing),
                                **{key: text(ctx, ("Which room", "Where"))}), request)


def is_locked(ctx: Context) -> Tool:
    """Tells if a door is locked."""
    key = ctx.one(PLACE_KEYS)
    name = name_of(ctx, ("get", "check", "read", "query", "is", "show", "fetch"),
                   ("lock_state", "locked", "lock_status", "door_locked", "bolt_state",
                    "lock_sensor"))
    called = names(ctx, "place")

    def request(ctx: Context) -> Request:
        place, locked = called.one(ctx), ctx.chance(0.5)
        word = "locked" if locked else "unlocked"
        truth = "true" if locked else "false"
        says = called.said(ctx, ctx.ask(LOCK_STATE, p=place), place)
        result = ctx.one((f'{{"state":"{word}"}}', f'{{"locked":{truth}}}', word, f'"{word}"',
                          f'{{"locked": {truth}}}', f'{{"ok":true,"value":"{word}"}}',
                          f'{{"lock":"{word}"}}', f'{{"ok":true,"locked":{truth}}}',
                          f'{{"door":"{place}","lock":"{word}"}}', f"lock: {word}"))
        door = f"door of {place}" if called.bare else f"{place} door"
        return Request(says, {key: place}, f"the lock of the {door}", result,
                       f"The {door} is {word}.")
    describe = ctx.one(("Tells if a door is locked.", "State of a lock.", "Is a door locked?",
                        "Locked or unlocked: a door.", "Gives the state of a door's lock."))
    parts = {key: text(ctx, ("Which door", "Which room"))}
    return Tool("lock state", function(name, describe, **parts), request)


def chore(ctx: Context) -> str:
    """Something to do; some are new every time."""
    if ctx.chance(0.5):
        return ctx.one(CHORES)
    verb = ctx.one(("buy", "paint", "clean", "fix", "feed", "check", "bring", "call", "move",
                    "find", "weigh", "wash", "sell", "fetch", "hide", "repair", "count", "order"))
    return f"{verb} {ctx.one(('the', 'the', 'my', 'a new', 'your'))} {ctx.one(COMMON[:450])}"


def reminder(ctx: Context) -> Tool:
    """Reminds of something after some minutes."""
    body = ctx.one(("text", "what", "task", "message", "about", "note"))
    when = ctx.one(("minutes", "in_minutes", "delay", "after", "min"))
    parts = {body: text(ctx, ("What to do", "The text")), when: number(ctx, ("In minutes",))}
    if ctx.chance(0.4):
        parts = dict(reversed(list(parts.items())))
    order = list(parts)
    name = name_of(ctx, ("set", "add", "new", "create", "make", "schedule"),
                   ("reminder", "reminders", "memo", "notice", "remind", "task"))

    def request(ctx: Context) -> Request:
        what, n = chore(ctx), ctx.rng.randrange(2, 120)
        given = {body: what, when: n}
        arguments = {k: given[k] for k in order}
        return Request(ctx.ask(say.REMIND, s=what, n=n), arguments, f"a reminder in {n} minutes",
                       done(ctx, arguments), f"I will remind you in {n} minutes: {what}.")
    describe = ctx.one(("Sets a reminder.", "Reminds the user of something after some minutes.",
                        "A reminder with a text.", "Reminds in some minutes."))
    return Tool("reminder", function(name, describe, **parts), request)


def list_item(ctx: Context) -> Tool:
    """Puts something on a list."""
    key = ctx.one(("item", "text", "what", "entry", "name", "product"))
    sort = ctx.one(("shopping", "shopping", "grocery", "packing"))
    name = name_of(ctx, ("add", "put", "append", "write", "insert"),
                   (f"{sort}_item", f"{sort}_list", "list_item", "to_list", f"to_{sort}_list"))

    def request(ctx: Context) -> Request:
        item = ctx.one(FOODS if ctx.chance(0.3) else COMMON[:450])
        if ctx.chance(0.3):
            item = ctx.one(("red", "fresh", "cheap", "big", "2 packs of", "small")) + " " + item
        return Request(ctx.ask(say.LIST_ADD, s=item, l=sort), {key: item},
                       f"an entry in the {sort} list", done(ctx, {key: item}),
                       f"I added {item} to the list.")
    describe = ctx.one((f"Adds to the {sort} list.", f"Puts an item on the {sort} list.",
                        f"A new item for the {sort} list."))
    return Tool("list", function(name, describe, **{key: text(ctx, ("The item",))}), request)
