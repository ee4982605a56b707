"""More kinds of tools (see tool_kinds.py), and the table of all kinds."""
import tool_says as say
from grammar import Context, a_date
from task_words import made_up
from tool_extra import chore, is_on, is_locked, list_item, opening, reminder
from tool_kinds import (Request, Tool, done, function, light, name_of, number, sense, sensor,
                        switch, text, turn)
from tool_levels import device_level, device_mode, heating, level
from tool_names import Names, names
from words import COMMON


def day_name(ctx: Context) -> str:
    """A day as the command date says it."""
    return f"{ctx.one(DAYS)} {ctx.one(MONTHS)} {ctx.rng.randrange(1, 32):2d}"


def clock(ctx: Context) -> Tool:
    """The time of day."""
    name = name_of(ctx, ("get", "read", "current", "tell", "ask", "show", "fetch", "what", "query",
                         "now", ""),
                   ("time", "clock", "time_of_day", "local_time", "wall_clock", "time_now", "hour"))

    def request(ctx: Context) -> Request:
        time = f"{ctx.rng.randrange(24):02d}:{ctx.rng.randrange(60):02d}"
        says = ctx.ask(say.TIME)
        long = f"{day_name(ctx)} {time}:{ctx.rng.randrange(60):02d} UTC 2026"
        day = a_date(ctx)
        result = ctx.one((f'{{"time":"{time}"}}', f'{{"time": "{time}"}}', time, f'"{time}"',
                          f"{time}:{ctx.rng.randrange(60):02d}", long, f"{time}\n",
                          f'{{"ok":true,"value":"{time}"}}', f'{{"ok":true,"time":"{time}"}}',
                          f'{{"date":"{day}","time":"{time}"}}', f'{{"clock": "{time}"}}',
                          f"{day} {time}", f"It is {time}.", f'{{"value":"{time}"}}',
                          f"{day}T{time}:{ctx.rng.randrange(60):02d}Z"))
        return Request(says, {}, "the time", result, f"It is {time}.")
    return Tool("time",
                function(name,
                         ctx.one(("The time of day.", "Tells the time.",
                                  "Gives the current time.", "What time it is.", "The clock.",
                                  "Returns the local time.", "Get the time."))), request)


def calendar(ctx: Context) -> Tool:
    """The date."""
    name = name_of(ctx, ("get", "read", "current", "todays", "ask", "show", "fetch", "what",
                         "query", ""),
                   ("date", "day", "calendar", "calendar_day", "today", "date_today",
                    "current_date"))

    def request(ctx: Context) -> Request:
        day = a_date(ctx)
        says = ctx.ask(say.DATE)
        if ctx.chance(0.25):
            name = day_name(ctx)
            hour = ":".join(f"{ctx.rng.randrange(limit):02d}" for limit in (24, 60, 60))
            long = f"{name} {hour} UTC 2026"
            return Request(says, {}, "the date", long, f"Today is {name} 2026.")
        return Request(says, {}, "the date",
                       ctx.one((f'{{"date":"{day}"}}', f'{{"date": "{day}"}}', day, f'"{day}"',
                                f'{{"ok":true,"value":"{day}"}}', f'{{"today":"{day}"}}',
                                f'{{"ok":true,"date":"{day}"}}', f"{day}\n", f"Today is {day}.",
                                f'{{"day": "{day}"}}', f'{{"result":"{day}"}}')),
                       f"Today is {day}.")
    return Tool("date",
                function(name, ctx.one(("The date.", "Tells the date.", "Gives today's date.",
                                        "What day it is.",
                                        "Today's date.", "Returns the date.", "The calendar."))),
                request)


STATES = ("uptime", "load", "disk space", "free memory", "speed", "weight", "distance", "altitude",
          "position", "power",
          "current", "frequency", "price", "flow", "depth", "angle", "color", "mode", "status",
          "host name", "IP address",
          "user name", "count", "queue length", "fuel", "heart rate", "wind speed", "fan state",
          "door state", "signal",
          "firmware version", "serial number", "error code", "boot count", "MAC address", "gain",
          "network name", "latency", "bandwidth", "heading", "latitude", "longitude", "elevation",
          "step count", "score", "account balance", "order number", "ticket number", "page count",
          "swap space", "cache size", "kernel version", "board revision", "gear", "throttle",
          "rainfall", "UV index", "tide level", "moon phase", "exchange rate", "lap count",
          "duty cycle", "resistance", "capacity", "salinity", "pH value", "mileage", "print job",
          "gate", "platform", "locker code", "track", "next stop", "room number", "playlist",
          "owner", "target", "phase", "torque", "tension", "visitor number", "session name")
SUFFIXES = ("level", "count", "state", "index", "rate", "value", "code", "number", "size", "name")
VALUES = ("{n}", "{n} {u}", "{n}.{d} {u}", "{n}.{d}", "{w}", "up {n} days", "{n} of {m}", "{n}:{m}",
          "{w} {n}", "{n}.{m}.{d}.{n}", "{w}-{n}", "{w}{n}", "-{n}.{d}", "{n} {u}",
          "{w} {w2}", "{n},{m}",
          "v{d}.{m}", "{n} x {m}", "{n}/{m}")


def status(ctx: Context) -> Tool:
    """Gives anything: the answer says what came back, as it is."""
    what = ctx.one(STATES)
    if ctx.chance(0.25):
        invented = not ctx.held and ctx.chance(0.4)
        what = f"{made_up(ctx, 8) if invented else ctx.one(COMMON)} {ctx.one(SUFFIXES)}"
    name = name_of(ctx, ("get", "read", "show", "fetch", "query", "check", "", "report", "current",
                         "find", "lookup"),
                   (what.lower().replace(" ", "_"),))

    def request(ctx: Context) -> Request:
        value = ctx.say(ctx.one(VALUES), n=ctx.rng.randrange(1, 400), m=ctx.rng.randrange(1, 100),
                        d=ctx.rng.randrange(10),
                        u=ctx.one(("m", "kg", "MB", "GB", "km", "W", "A", "Hz", "percent", "euros",
                                   "liters", "degrees", "m/s", "cm", "mm", "rpm", "mA", "kW", "bar",
                                   "s", "ms")),
                        w2=ctx.one(("left", "right", "one", "two", "mode", "side")),
                        w=ctx.one(("open", "closed", "idle", "running", "ready", "red", "green",
                                   "manual", "auto", "north", "full",
                                   "empty", "alpha", "pump", "bob", "normal", "low", "high",
                                   "board",
                                   "stopped", "waiting", "charging", "full moon", "Rosa", "beta")))
        says = ctx.ask(say.STATUS, q=what)
        return Request(says, {}, f"the {what}",
                       ctx.one((value, value, value, f'{{"value":"{value}"}}',
                                f'{{"result": "{value}"}}', f'{{"ok":true,"value":"{value}"}}',
                                f'{{"ok": true, "result": "{value}"}}', f"{what}: {value}",
                                f'{{"data":{{"value":"{value}"}}}}', f"{what} = {value}",
                                f'{{"{what.replace(" ", "_")}":"{value}"}}', f'"{value}"',
                                f"The {what} is {value}.", f"{value}\n")),
                       f"The {what} is {value}.")
    return Tool(what,
                function(name,
                         ctx.one(("Gives the {q}.", "The {q}.", "Reads the {q}.",
                                  "Returns the {q}.", "Get the {q}.", "Tells the {q}.",
                                  "Current {q}", "What the {q} is.")).replace("{q}", what)),
                request)


DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SAYINGS = ("dinner is ready", "I am late", "the door is open", "it is raining", "the train is late",
           "I am at home",
           "the water is hot", "we need milk", "the meeting is over", "lunch is at noon",
           "the cat is outside", "I am on my way",
           "the pump is broken", "all is well", "the parcel is here", "the game starts now",
           "the soup is cold", "the car is ready",
           "I will call later", "we are out of bread", "the bus was on time", "I lost my keys",
           "the test went well", "dinner is at 7", "the shop closes at 6", "I found the book",
           "she won the race", "the baby is asleep", "room 12 is free", "the heating works again",
           "I need 5 more minutes", "we meet at the station", "the code is 4711", "it is too loud",
           "nobody is at home", "my phone is broken", "the tickets are sold out", "we are all fine",
           "the flight leaves at 9:40", "his dog ran away", "the paint is dry", "I miss you",
           "you can come in now", "the power is back", "the coffee is gone", "we won")
JOINTS = ("is {a}", "was {a}", "looks {a}", "will be {a} soon", "is {a} and {b}", "is not {a}")


def saying(ctx: Context) -> str:
    """What somebody is to be told; half of them are new every time."""
    if ctx.chance(0.5):
        return ctx.one(SAYINGS)
    state = ctx.one(JOINTS).replace("{a}", ctx.one(ADJECTIVES)).replace("{b}", ctx.one(ADJECTIVES))
    return f"{ctx.one(('the', 'the', 'my', 'our'))} {ctx.one(COMMON[:450])} {state}"


ADJECTIVES = ("ready", "broken", "cold", "late", "empty", "clean", "lost", "green", "wet", "here",
              "open", "gone", "free", "heavy", "too small", "on the table", "in the garden", "sold",
              "very loud", "in room 3", "under the bed", "half full", "still warm", "fixed")


def message(ctx: Context) -> Tool:
    """Sends a text to somebody."""
    to = ctx.one(("to", "recipient", "person", "name", "contact", "user", "receiver"))
    body = ctx.one(("text", "message", "body", "content", "words", "what"))
    name = name_of(ctx, ("send", "write", "post", "deliver", "send_out", "pass"),
                   ("message", "text", "sms", "mail", "note", "email", "chat_message", "dm"))
    called = Names("person")

    def request(ctx: Context) -> Request:
        person = called.one(ctx)
        if ctx.chance(0.2):
            what = chore(ctx)
            says = ctx.ask(say.MESSAGE_ORDER, n=person, s=what)
        else:
            what = saying(ctx)
            says = ctx.ask(say.MESSAGE, n=person, s=what)
        arguments = {to: person, body: what}
        return Request(says, arguments, f"a message to {person}", done(ctx, arguments),
                       f"I sent it to {person}.")
    return Tool("message", function(name, ctx.one(("Sends a message.", "Writes to a person.",
                                             "Sends a text to somebody.", "Tells a person.",
                                             "Deliver a message.")),
                                    **{to: text(ctx, ("Who gets it", "The person")),
                                       body: text(ctx, ("What to say", "The text"))}), request)


def lock(ctx: Context) -> Tool:
    """Locks and unlocks a door."""
    key = ctx.one(("door", "name", "which", "place", "room", "location", "where", "lock", "entry"))
    boolean = ctx.chance(0.6)
    state = ctx.one(("locked", "lock", "closed", "secure", "is_locked") if boolean else
                    ("state", "action", "to", "command", "mode"))
    yes, no = (True, False) if boolean else ctx.one((("locked", "unlocked"), ("lock", "unlock")))
    name = name_of(ctx, ("set", "control", "door", "change", "operate", "switch"),
                   ("lock", "door_lock", "door", "bolt", "lock_state", "smart_lock", "latch"))
    called = names(ctx, "place")

    def request(ctx: Context) -> Request:
        place, on = called.one(ctx), ctx.chance(0.5)
        templates, words = ((say.LOCKED, ("unlocked", "locked")) if ctx.chance(0.2) else
                            (say.LOCK_DOOR, ("unlock", "lock")))
        says = called.said(ctx, ctx.ask(templates, v=words[on], p=place), place)
        if "door" in says and "door of" not in says and not called.bare and ctx.chance(0.15):
            place, known = ctx.one(("front", "back", "side", "main", "cellar", "glass")), place
            says = says.replace(known, place)
        if not says.startswith(place):  # a name is to be copied as it is
            says = says[0].upper() + says[1:]
        word = "locked" if on else "unlocked"
        door = f"door of {place}" if called.bare else f"{place} door"
        arguments = {key: place, state: yes if on else no}
        return Request(says, arguments, f"the {door} {word}", done(ctx, arguments),
                       f"The {door} is {word} now.")
    describe = ctx.one(("Locks or unlocks a door.", "Sets the lock of a door.",
                        "Controls a door's lock.", "Lock and unlock the door of a room."))
    schema = {"type": "boolean"} if boolean else {"type": "string", "enum": [yes, no]}
    return Tool("lock", function(name, describe, **{key: text(ctx, ("Which door", "Which room")),
                                                    state: schema}), request)


def music(ctx: Context) -> Tool:
    """Plays a song."""
    key = ctx.one(("song", "title", "track", "name", "what", "piece", "query", "tune"))
    name = name_of(ctx, ("play", "start", "queue", "put_on", "stream"),
                   ("music", "song", "track", "title", "tune", "audio", "by_title"))
    called = Names("song")

    def request(ctx: Context) -> Request:
        song = called.one(ctx)
        says = ctx.ask(say.MUSIC, s=song)
        return Request(says, {key: song}, f"the song {song}", done(ctx, {key: song}),
                       f"{song} is playing.")
    return Tool("music",
                function(name, ctx.one(("Plays a song.", "Starts the music.", "Plays music.",
                                        "Play a song by its title.", "Starts a track.")),
                         **{key: text(ctx, ("Title of the song", "What to play"))}),
                request)


def weather(ctx: Context) -> Tool:
    """The weather of a city."""
    key = ctx.one(("city", "place", "location", "town", "where", "city_name", "area"))
    name = name_of(ctx, ("get", "check", "fetch", "read", "show", "query", "look_up", "find", ""),
                   ("weather", "forecast", "weather_report", "city_weather", "current_weather",
                    "weather_in"))
    called = Names("city")

    def request(ctx: Context) -> Request:
        city, degrees = called.one(ctx), ctx.rng.randrange(-9, 35)
        sky = ctx.one(("sunny", "cloudy", "rainy", "windy", "foggy", "clear", "snowy", "stormy",
                       "misty", "overcast", "mild", "dry"))
        says = ctx.ask(say.WEATHER, c=city)
        return Request(says, {key: city}, f"the weather in {city}",
                       ctx.one((f'{{"sky":"{sky}","degrees":{degrees}}}',
                                f'{{"weather":"{sky}","temperature":{degrees}}}',
                                f'{{"city":"{city}","sky":"{sky}","degrees":{degrees}}}',
                                f'{{"ok":true,"sky":"{sky}","temp":{degrees}}}',
                                f'{{"temperature": {degrees}, "condition": "{sky}"}}',
                                f'{{"ok":true,"value":"{sky}, {degrees} degrees"}}',
                                f"{sky}, {degrees} degrees", f"{city}: {sky} {degrees} C",
                                f'{{"data":{{"degrees":{degrees},"sky":"{sky}"}}}}')),
                       f"In {city} it is {sky}, {degrees} degrees.")
    describe = ctx.one(("The weather of a city.", "Tells the weather.",
                        "Gives the weather report.", "Weather of a place.",
                        "Returns the weather now.", "Get the weather of a town."))
    schema = text(ctx, ("Which city", "The town"))
    return Tool("weather", function(name, describe, **{key: schema}), request)


def dice(ctx: Context) -> Tool:
    """Rolls dice."""
    key = ctx.one(("count", "dice", "number", "n", "how_many", "amount"))
    name = name_of(ctx, ("roll", "throw", "toss", "cast", "shake"),
                   ("dice", "die", "cubes", "some_dice", "the_dice"))

    def request(ctx: Context) -> Request:
        count = ctx.rng.randrange(2, 10)
        total = sum(ctx.rng.randrange(1, 7) for _ in range(count))
        says = ctx.ask(say.DICE, n=count)
        return Request(says, {key: count}, f"a roll of {count} dice",
                       ctx.one((f'{{"total":{total}}}', str(total), f'{{"sum":{total}}}',
                                f'{{"ok":true,"value":{total}}}', f'{{"result": {total}}}',
                                f'{{"dice":{count},"total":{total}}}', f"total: {total}")),
                       f"The dice show {total} in all.")
    return Tool("dice",
                function(name, ctx.one(("Rolls dice.", "Throws some dice.",
                                        "Rolls some dice and adds.", "A throw of dice.")),
                         **{key: number(ctx, ("How many",))}), request)


def color(ctx: Context) -> Tool:
    """Sets the colour of a lamp, out of a list."""
    choices = ctx.rng.sample(("red", "green", "blue", "white", "yellow", "orange", "purple",
                              "pink", "cyan", "violet", "turquoise", "gold", "warm white"),
                             ctx.rng.randrange(3, 6))
    key = ctx.one(("color", "colour", "value", "to", "shade", "name", "tint"))
    name = name_of(ctx, ("set", "change", "led", "lamp", "light", "pick", "choose"),
                   ("color", "colour", "led_color", "rgb", "lamp_color", "led", "hue"))

    def request(ctx: Context) -> Request:
        shade = ctx.one(choices)
        says = ctx.ask(say.COLOR, c=shade)
        return Request(says, {key: shade}, f"the color {shade}", done(ctx, {key: shade}),
                       f"The color is {shade} now.")
    return Tool("color",
                function(name,
                         ctx.one(("Sets the color of the LED.", "Changes the color of the lamp.",
                                  "Color of the light.", "Sets the LED's colour.",
                                  "Chooses the color.")),
                                  **{key: {"type": "string", "enum": choices}}), request)


def move(ctx: Context) -> Tool:
    """Moves the robot."""
    ways = ["forward", "back", "left", "right"]
    way, steps = ctx.one(("direction", "way", "where", "heading", "to")), ctx.one(
        ("steps", "distance", "count", "amount", "n"))
    name = name_of(ctx, ("move", "drive", "walk", "robot", "go", "steer"),
                   ("robot", "forward", "car", "wheels", "move", "steps", "legs", "rover"))

    def request(ctx: Context) -> Request:
        where, n = ctx.one(ways), ctx.rng.randrange(2, 30)
        says = ctx.ask(say.MOVE, n=n, w=where)
        arguments = {way: where, steps: n}
        return Request(says, arguments, f"{n} steps {where}", done(ctx, arguments),
                       f"I moved {n} steps {where}.")
    return Tool("move", function(name, ctx.one(("Moves the robot.", "Drives some steps.", "Walks.",
                                          "Moves some steps in a direction.", "Drives the car.")),
                                 **{way: {"type": "string", "enum": ways}, steps: number(ctx)}),
                request)


KINDS = ((14, sense), (8, sensor), (12, switch), (4, lambda ctx: turn(ctx, True)),
         (4, lambda ctx: turn(ctx, False)),
         (7, light), (12, level), (8, clock), (4, calendar), (5, message), (4, lock), (4, music),
         (4, weather),
         (3, dice), (4, color), (4, move), (9, status), (4, is_on), (4, opening), (2, is_locked),
         (4, reminder), (2, list_item), (6, device_level), (3, device_mode), (4, heating))
# Kinds that may serve one another's requests: never beside each other in one conversation.
ALIKE = ({"switch", "turn_on", "light", "color", "fan speed"}, {"switch", "turn_off", "light"},
         {"sensor", "temperature", "weather", "thermostat"},
         {"sensor", "humidity"}, {"sensor", "pressure"}, {"sensor", "brightness"},
         {"sensor", "noise"}, {"sensor", "voltage"},
         {"humidity", "soil moisture"}, {"message", "timer"}, {"thermostat", "temperature"},
         {"battery level", "voltage"},
         {"wind speed", "speed", "fan speed"}, {"status", "mode", "fan state"}, {"color", "mode"},
         {"current", "power", "voltage"},
         {"door state", "lock"}, {"weather", "wind speed"}, {"count", "queue length"},
         {"uptime", "time"}, {"current", "time"}, {"reminder", "timer"}, {"reminder", "message"},
         {"heating", "thermostat", "temperature", "sensor", "weather"}, {"door", "door state"},
         {"device state", "status", "mode", "fan state"}, {"door", "lock"}, {"reminder", "list"},
         {"lock state", "lock"}, {"lock state", "door"}, {"lock state", "door state"},
         {"lock state", "device state"},
         {"device mode", "mode"}, {"track", "music", "playlist"}, {"owner", "user name"},
         {"heating", "device level"}, {"tide level", "water level"}, {"rainfall", "weather"},
         {"elevation", "altitude"}, {"device mode", "switch"}, {"window", "blinds"},
         *({"device level", kind} for kind in ("fan speed", "volume", "brightness", "thermostat",
                                               "blinds", "device mode")))


def alike(first: str, second: str) -> bool:
    """True if a request for the one might go to the other."""
    return first == second or any(first in group and second in group for group in ALIKE)


def tools(ctx: Context, count: int) -> list[Tool]:
    """Tools of different kinds."""
    out: list[Tool] = []
    while len(out) < count:
        tool = ctx.rng.choices([make for _, make in KINDS], [share for share, _ in KINDS])[0](ctx)
        if all(not alike(tool.kind, other.kind) and tool.name != other.name for other in out):
            out.append(tool)
    return out
