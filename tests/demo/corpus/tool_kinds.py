"""The kinds of tools: each makes a tool of its kind, names and parameters varied.

A kind is a function of the context that gives a Tool; Tool.request gives a Request: what the user
says, the arguments that are right, what the tool may give back and what is to be answered then.
"""
import dataclasses
import json
from typing import Any, Callable

from grammar import Context, reserved
from tool_asks import FEEL_ASK, LIGHT_ASK, LIGHT_OFF, LIGHT_ON, SENSE_ASK, SENSE_PLAIN
from tool_asks import SWITCH_OFF, SWITCH_ON
from tool_names import Names, names


@dataclasses.dataclass
class Request:
    """One thing asked of a tool. need: what it is, for the reasoning; failed: instead of answer."""
    says: str
    arguments: dict[str, Any]
    need: str
    result: str
    answer: str


@dataclasses.dataclass
class Tool:
    """A tool: its function schema, and how requests for it are made."""
    kind: str
    schema: dict[str, Any]
    request: Callable[[Context], Request]

    @property
    def name(self) -> str:
        return self.schema["name"]


def function(name: str, description: str, /, **properties: dict[str, Any]) -> dict[str, Any]:
    """A function schema; a property with "optional" is not required."""
    schema: dict[str, Any] = {"name": name, "description": description}
    if properties:
        required = [key for key, value in properties.items() if not value.pop("optional", False)]
        schema["parameters"] = {"type": "object", "properties": properties, "required": required}
    return schema


def name_of(ctx: Context, verbs: tuple[str, ...], nouns: tuple[str, ...]) -> str:
    """verb_noun; one name in HELD is for questions alone."""
    for _ in range(200):
        verb, noun = ctx.one(verbs), ctx.one(nouns)
        name = verb + "_" + noun if verb else noun
        if verb == noun.split("_")[0] or (verb == "led" and "led" in noun):
            continue
        if ctx.chance(0.06):
            head, *tail = name.split("_")
            name = head + "".join(part.capitalize() for part in tail)
        if reserved("tool", name) == ctx.held:
            return name
    return name


def text(ctx: Context, describe: tuple[str, ...] = ()) -> dict[str, Any]:
    """A string parameter, sometimes described."""
    return {"type": "string",
            **({"description": ctx.one(describe)} if describe and ctx.chance(0.3) else {})}


def number(ctx: Context, describe: tuple[str, ...] = ()) -> dict[str, Any]:
    """A number parameter, sometimes described."""
    return {"type": ctx.one(("number", "integer")),
            **({"description": ctx.one(describe)} if describe and ctx.chance(0.3) else {})}


def json_value(value: Any) -> str:
    """A value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


GET = ("get", "read", "fetch", "check", "measure", "query", "show", "sense", "", "report", "find",
       "sample", "current", "request", "look_up", "poll", "obtain", "return")
PLACE_KEYS = ("room", "place", "location", "where", "zone", "area", "spot", "room_name", "site",
              "position", "place_name", "in_room", "sensor_location", "at", "space")
# quantity: (nouns in names, words in the question, unit in the answer, lowest, highest, tenths)
QUANTITIES = {
    "temperature": (("temperature", "temp", "room_temperature", "thermometer", "air_temp",
                     "celsius", "degrees", "heat"), ("temperature",), " degrees", -10, 35, True),
    "humidity": (("humidity", "air_humidity", "rel_humidity", "hygrometer", "humidity_level",
                  "relative_humidity"), ("humidity", "air humidity"), " percent", 20, 95, False),
    "pressure": (("pressure", "air_pressure", "barometer", "pressure_sensor", "hpa"),
                 ("pressure", "air pressure"), " hPa", 960, 1040, False),
    "brightness": (("brightness", "light_level", "lux", "illuminance", "ambient_light"),
                   ("brightness", "light level"), " lux", 0, 900, False),
    "noise": (("noise", "noise_level", "sound_level", "loudness", "decibels"),
              ("noise level", "noise"), " dB", 20, 99, False),
    "CO2 level": (("co", "air_quality", "carbon_dioxide", "co2", "co2_level"),
                  ("CO2 level", "carbon dioxide level", "CO2"), " ppm", 400, 1900, False),
    "voltage": (("voltage", "volts", "supply_voltage", "voltmeter", "battery_voltage"),
                ("voltage",), " volts", 1, 24, True),
    "battery level": (("battery", "battery_level", "charge", "battery_state", "battery_percent"),
                      ("battery level", "charge", "battery charge"), " percent", 1, 100, False),
    "water level": (("water_level", "tank_level", "water", "tank", "level_sensor"),
                    ("water level",), " cm", 1, 200, False),
    "soil moisture": (("moisture", "soil_moisture", "soil", "soil_sensor", "ground_moisture"),
                      ("soil moisture", "moisture"), " percent", 5, 90, False),
}


def reading(ctx: Context, quantity: str) -> str:
    """A measured value as text."""
    _, _, _, low, high, tenths = QUANTITIES[quantity]
    value = ctx.rng.randrange(low, high + 1)
    return f"{value}.{ctx.rng.randrange(1, 10)}" if tenths and ctx.chance(0.5) else str(value)


def sense_result(ctx: Context, key: str, place: str | None, value: str) -> str:
    """What a sensor gives back, in one of several forms."""
    plain = key.split()[-1].lower()
    unit = QUANTITIES[key][2].strip()
    time = f"{ctx.rng.randrange(24):02d}:{ctx.rng.randrange(60):02d}"
    forms = [f'{{"{plain}":{value}}}', f'{{"value":{value}}}', value, f'{{"{plain}": {value}}}',
             f"{value} {unit}", f'{{"value": {value}}}', f'{{"ok":true,"value":{value}}}',
             f'{{"{plain}": {value}, "unit": "{unit}"}}', f"{plain}: {value}", f"{plain}={value}",
             f'{{"ok": true, "value": {value}}}', f'{{"ok":true,"{plain}":{value}}}',
             f'{{"value":{value},"unit":"{unit}"}}', f'{{"ok":true,"value":"{value} {unit}"}}',
             f'{{"reading":{value}}}', f'{{"result":{value}}}', f'{{"data":{{"value":{value}}}}}',
             f'{{"result": {{"{plain}": {value}}}}}', f'{{"status":"ok","{plain}":{value}}}',
             f"{plain} = {value} {unit}", f"The {key} is {value} {unit}.", f"{value} {unit}\n",
             f'{{"time":"{time}","{plain}":{value}}}', f'{{"{plain}":"{value}"}}', f'"{value}"',
             f"{time} {plain} {value}", f"[{value}]", f"OK {value}"]
    if place:
        spot = ctx.one(("room", "place", "location", "name"))
        forms += [f'{{"{spot}":"{place}","{plain}":{value}}}',
                  f'{{"{spot}": "{place}", "value": {value}}}',
                  f'{{"ok":true,"{spot}":"{place}","value":{value}}}',
                  f"{place}: {value} {unit}", f"{place} {plain} {value}"]
    return ctx.one(forms)


def sense_asked(ctx: Context, quantity: str, word: str, place: str) -> str:
    """The question for a quantity in a place, by its name or by how it feels."""
    if ctx.chance(0.3 if quantity in ("temperature", "humidity") else 0.2):
        return ctx.ask(FEEL_ASK[quantity], p=place)
    return ctx.ask(SENSE_ASK, q=word, p=place)


def sense(ctx: Context) -> Tool:
    """Reads one quantity, mostly in a place."""
    quantity = ctx.rng.choices(list(QUANTITIES), (5, 4, 2, 2, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5))[0]
    nouns, words, unit, *_ = QUANTITIES[quantity]
    key = ctx.one(PLACE_KEYS)
    placed = ctx.chance(0.8)
    called = names(ctx, "place")
    parts = {key: text(ctx, ("Where to measure", "Name of the room", "The room", "Which place",
                             "Place of the sensor", "e.g. kitchen"))} if placed else {}
    if placed and ctx.chance(0.06):
        parts["unit"] = {**text(ctx, ("Unit of the value",)), "optional": True}
    name = name_of(ctx, GET, nouns)
    describe = ctx.one(("Reads the {q}.", "Gives the {q}.", "The {q} now.",
                        "Returns the {q} of a sensor.", "Measures the {q}.", "Get the {q}.",
                        "Current {q}.", "Asks a sensor for the {q}.", "Tells the {q}.",
                        "Query the {q} [of a place|of a room].", "Read {q}",
                        "What the {q} is.")).replace("{q}", quantity)
    describe = ctx.say(describe)
    if not placed:
        describe = describe.replace(" of a place", "").replace(" of a room", "")

    def request(ctx: Context) -> Request:
        place = called.one(ctx) if placed else None
        value = reading(ctx, quantity)
        word = ctx.one(words)
        if place:
            says = called.said(ctx, sense_asked(ctx, quantity, word, place), place)
        else:
            says = ctx.ask(SENSE_PLAIN, q=word)
        where = f" in {called.the(place)}" if place else ""
        return Request(says, {key: place} if place else {}, f"the {quantity}{where}",
                       sense_result(ctx, quantity, place, value),
                       f"The {quantity}{where} is {value}{unit}.")
    return Tool(quantity, function(name, describe, **parts), request)


def sensor(ctx: Context) -> Tool:
    """Reads any quantity of some: the quantity is an argument, from a list or free."""
    quantities = ctx.rng.sample(("temperature", "humidity", "pressure", "brightness", "noise",
                                 "voltage"), ctx.one((2, 3, 3, 3, 4)))
    key = ctx.one(PLACE_KEYS)
    kind = ctx.one(("kind", "quantity", "what", "type", "sensor", "measure", "property", "value"))
    listed = ctx.chance(0.7)
    called = Names("place")
    free = text(ctx, ("What to read", "What to measure", "The quantity"))
    parts = {kind: {"type": "string", "enum": quantities} if listed else free,
             key: text(ctx, ("Where", "Which room", "Name of the place"))}
    if ctx.chance(0.4):
        parts = dict(reversed(list(parts.items())))
    order = list(parts)
    name = name_of(ctx, ("read", "get", "query", "ask", "poll", "fetch", "check", "use", "sample"),
                   ("sensor", "sensor_value", "value", "measurement", "reading", "probe", "meter",
                    "sensors", "quantity"))

    def request(ctx: Context) -> Request:
        place, quantity = called.one(ctx), ctx.one(quantities)
        value = reading(ctx, quantity)
        given = {kind: quantity, key: place}
        says = (sense_asked(ctx, quantity, quantity, place) if listed else
                ctx.ask(SENSE_ASK, q=quantity, p=place))
        return Request(called.said(ctx, says, place), {k: given[k] for k in order},
                       f"the {quantity} in the {place}", sense_result(ctx, quantity, place, value),
                       f"The {quantity} in the {place} is {value}{QUANTITIES[quantity][2]}.")
    describe = ctx.one(("Reads a sensor.", "Gives the value of a sensor.", "Asks one sensor.",
                        "Measures something in a room.", "Get a sensor's value.",
                        "Returns what a sensor measures.", "Query a sensor of a room."))
    return Tool("sensor", function(name, describe, **parts), request)


DONE = ("", '{"ok": true}', "OK", "{}", '{"result": "ok"}', '{"ok":true}', '{"status":"ok"}', "ok",
        "done", '{"done":true}', '"ok"', '{"success":true}', '{"success": true}', "true", "success",
        "Done.", '{"ok":true,"value":null}', '{"error":null}', '{"status": "done"}', "null", "0",
        '{"ok":true,"result":"done"}', '{"ok":true,"value":true}', '{"message":"done"}', "ACK")
DEVICE_KEYS = ("device", "name", "switch", "what", "target", "id", "appliance", "device_name",
               "item", "thing", "which", "output", "device_id", "machine", "unit", "entity", "load")


def done(ctx: Context, arguments: dict[str, Any]) -> str:
    """What a tool that does something gives back: that it is done, or its arguments again."""
    if ctx.chance(0.15):
        return json_value({"ok": True, **arguments} if ctx.chance(0.5) else arguments)
    return ctx.one(DONE)


def switched(ctx: Context, on: bool, called: Names, device: str) -> tuple[str, str]:
    """(what the user says, the answer)."""
    says = ctx.ask(SWITCH_ON if on else SWITCH_OFF, d=device)
    state = "on" if on else "off"
    it = called.the(device)
    answers = (f"Done: {it} is {state}.", f"I turned {it} {state}.",
               f"The {device} is {state} now.")
    return called.said(ctx, says, device), ctx.answer(answers[:2] if called.bare else answers)


def on_off(ctx: Context) -> tuple[dict[str, Any], dict[bool, Any]]:
    """A parameter for on and off: (its schema, its values)."""
    if ctx.chance(0.55):
        return {"type": "boolean"}, {True: True, False: False}
    on, off = ctx.one((("on", "off"),) * 8 + (("ON", "OFF"), ("start", "stop"), ("1", "0")))
    values = [on, off] if ctx.chance(0.7) else [off, on]
    return {"type": "string", "enum": values}, {True: on, False: off}


def switch(ctx: Context) -> Tool:
    """Sets a switch on or off: a boolean or an enum."""
    key = ctx.one(DEVICE_KEYS)
    schema, values = on_off(ctx)
    boolean = schema["type"] == "boolean"
    state = ctx.one(("on", "state", "enabled", "power", "active", "running", "is_on", "turn_on")
                    if boolean else ("state", "mode", "to", "position", "action", "power", "value"))
    called = names(ctx, "device")
    parts = {key: text(ctx, ("Which one", "Name of the device", "The device", "What to switch")),
             state: schema}
    if ctx.chance(0.25):
        parts = dict(reversed(list(parts.items())))
    order = list(parts)
    name = name_of(ctx, ("set", "switch", "control", "change", "toggle", "operate", "write", "turn",
                         "drive", "command"),
                   ("switch", "device", "power", "relay", "appliance", "output", "device_state",
                    "socket", "plug", "load", "machine"))

    def request(ctx: Context) -> Request:
        device, on = called.one(ctx), ctx.chance(0.5)
        says, answer = switched(ctx, on, called, device)
        given = {key: device, state: values[on]}
        arguments = {k: given[k] for k in order}
        return Request(says, arguments, f"{called.the(device)} {'on' if on else 'off'}",
                       done(ctx, arguments), answer)
    describe = ctx.one(("Sets a switch.", "Turns a device on or off.", "Switches a device.",
                        "Controls the power of a device.", "Switch something on or off.",
                        "Starts or stops a device.", "Turn any device on or off.",
                        "Sets the state of an output."))
    return Tool("switch", function(name, describe, **parts), request)


def turn(ctx: Context, on: bool) -> Tool:
    """Turns something on (or off), and no other."""
    key = ctx.one(DEVICE_KEYS)
    word = "on" if on else "off"
    others = (("turn_on", "switch_on", "power_on", "start_device", "start", "enable_device",
               "activate", "device_on", "enable", "run_device") if on else
              ("turn_off", "switch_off", "power_off", "stop_device", "stop", "disable_device",
               "deactivate", "device_off", "disable", "shut_down"))
    name = ctx.one(others)
    called = names(ctx, "device")

    def request(ctx: Context) -> Request:
        device = called.one(ctx)
        says, answer = switched(ctx, on, called, device)
        return Request(says, {key: device}, f"{called.the(device)} {word}",
                       done(ctx, {key: device}), answer)
    describe = ctx.one(("Turns a device {s}.", "Switches a device {s}.", "Switch a device {s}.",
                        "{v} a device.", "Turns something {s}."))
    describe = describe.replace("{s}", word).replace("{v}", "Starts" if on else "Stops")
    return Tool("turn_" + word,
                function(name, describe,
                         **{key: text(ctx, ("Name of the device", "Which device"))}), request)


def light_asked(ctx: Context, on: bool, place: str) -> str:
    """What the user says of the light of a place."""
    if ctx.chance(0.2):
        return ctx.ask(LIGHT_ON if on else LIGHT_OFF, p=place)
    return ctx.ask(LIGHT_ASK, s="on" if on else "off", p=place)


def light(ctx: Context) -> Tool:
    """The light of a room."""
    key = ctx.one(PLACE_KEYS)
    schema, values = on_off(ctx)
    state = ctx.one(("on", "state", "enabled", "lit", "is_on", "bright")
                    if schema["type"] == "boolean" else ("state", "mode", "light", "power", "to"))
    name = name_of(ctx, ("set", "switch", "control", "room", "change", "turn", "toggle"),
                   ("light", "lights", "lamp", "lighting", "room_light", "light_state"))
    called = names(ctx, "place")
    parts = {key: text(ctx, ("Which room", "The room", "Where", "Room of the light")),
             state: schema}

    def request(ctx: Context) -> Request:
        place, on = called.one(ctx), ctx.chance(0.5)
        word = "on" if on else "off"
        arguments = {key: place, state: values[on]}
        return Request(called.said(ctx, light_asked(ctx, on, place), place), arguments,
                       f"the light in {called.the(place)} {word}", done(ctx, arguments),
                       f"The light in {called.the(place)} is {word} now.")
    describe = ctx.one(("Sets the light of a room.", "Turns a room's light on or off.",
                        "Switches the lights.", "Light of a room on or off.",
                        "Controls the lighting of a place.", "Turn lights on or off."))
    return Tool("light", function(name, describe, **parts), request)
