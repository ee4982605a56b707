"""Tools that set a number or a mode (see tool_kinds.py)."""
from typing import Any

import tool_says as say
from grammar import Context
from tool_kinds import (DEVICE_KEYS, PLACE_KEYS, Request, Tool, done, function, name_of, number,
                        text)
from tool_names import names

LEVELS = (
    # (kind, nouns, keys, lowest, highest, what is said, answer, descriptions)
    ("volume", ("volume", "sound", "loudness", "audio_volume", "speaker_volume", "audio_level"),
     ("level", "volume", "value", "percent", "loudness", "to"), 0, 101, say.VOLUME,
     "The volume is {n} now.",
     ("Sets the volume.", "Changes how loud it is.", "Set the volume of the speaker.",
      "Volume, 0 to 100.")),
    ("fan speed", ("fan_speed", "fan", "fan_level", "ventilator", "fan_stage", "blower"),
     ("speed", "level", "value", "stage", "step", "setting"), 1, 10, say.FAN,
     "The fan speed is {n} now.",
     ("Sets the speed of the fan.", "Changes the fan.", "Fan speed, 1 to 9.",
      "Sets the level of the fan.")),
    ("brightness", ("brightness", "dimmer", "light_level", "dim_level", "lamp_brightness"),
     ("percent", "level", "value", "brightness", "intensity"), 1, 101, say.BRIGHTNESS,
     "The brightness is {n} percent now.",
     ("Sets the brightness.", "Dims the light.", "Brightness in percent.", "Sets the dimmer.")),
    ("thermostat", ("thermostat", "heating", "target_temperature", "heater_target", "setpoint"),
     ("degrees", "temperature", "target", "value", "celsius", "setpoint"), 5, 31, say.THERMOSTAT,
     "The thermostat is set to {n} degrees.",
     ("Sets the heating.", "Sets the thermostat.", "Target temperature of the heating.",
      "Changes the target temperature.")),
    ("blinds", ("blinds", "shutter", "curtain", "shutters", "blind_position", "shades"),
     ("percent", "position", "open", "level", "opening", "value"), 0, 101, say.BLINDS,
     "The blinds are at {n} percent now.",
     ("Moves the blinds.", "Sets the blinds.", "Position of the blinds in percent.",
      "Opens and closes the blinds.")),
    ("timer", ("timer", "countdown", "kitchen_timer", "alarm", "egg_timer", "wake_timer"),
     ("minutes", "duration", "time", "min", "length", "delay"), 2, 91, say.TIMER,
     "The timer is set for {n} minutes.",
     ("Starts a timer, in minutes.", "Sets a timer.", "A timer that rings after some minutes.",
      "Counts down minutes.")),
)
MODES = (("low", "medium", "high"), ("eco", "normal", "boost"), ("slow", "fast"),
         ("auto", "manual"), ("quiet", "normal", "turbo"), ("day", "night"), ("low", "high"),
         ("summer", "winter"), ("cool", "heat", "dry"), ("1", "2", "3"), ("A", "B", "C"),
         ("standby", "active", "test"), ("gentle", "strong"), ("sleep", "comfort", "away"))


def level(ctx: Context) -> Tool:
    """Sets a number."""
    kind, nouns, keys, low, high, says, answer, describe = ctx.one(LEVELS)
    key = ctx.one(keys)
    verbs = (("set", "change", "adjust", "put", "control", "write", "move", "update")
             if kind != "timer" else ("set", "start", "add", "new", "create", "begin"))
    name = name_of(ctx, verbs, nouns)

    def request(ctx: Context) -> Request:
        n = ctx.rng.randrange(low, high)
        return Request(ctx.ask(says, n=n), {key: n}, f"{kind} {n}", done(ctx, {key: n}),
                       answer.replace("{n}", str(n)))
    schema = number(ctx, (f"From {low} to {high - 1}", f"{low} to {high - 1}", "A whole number"))
    return Tool(kind, function(name, ctx.one(describe), **{key: schema}), request)


def turned(ctx: Context, first: dict[str, Any]) -> list[str]:
    """The order of the parameters."""
    return list(reversed(list(first))) if ctx.chance(0.25) else list(first)


def heating(ctx: Context) -> Tool:
    """The heating of a room."""
    key = ctx.one([key for key in PLACE_KEYS if key not in ("position", "sensor_location", "at")])
    value = ctx.one(("degrees", "temperature", "target", "celsius", "setpoint"))
    name = name_of(ctx, ("set", "change", "adjust", "control", "write"),
                   ("room_heating", "room_temperature", "radiator", "heating", "room_thermostat",
                    "zone_temperature"))
    called = names(ctx, "place")
    parts = {key: text(ctx, ("Which room", "The room")), value: number(ctx, ("In degrees",))}
    order = turned(ctx, parts)

    def request(ctx: Context) -> Request:
        place, n = called.one(ctx), ctx.rng.randrange(5, 31)
        given = {key: place, value: n}
        arguments = {k: given[k] for k in order}
        return Request(called.said(ctx, ctx.ask(say.HEATING, p=place, n=n), place), arguments,
                       f"{n} degrees in {called.the(place)}", done(ctx, arguments),
                       f"The heating in {called.the(place)} is set to {n} degrees.")
    describe = ctx.one(("Sets the heating of a room.", "Sets a room's target temperature.",
                        "Heats a room to some degrees.", "Thermostat of a room."))
    return Tool("heating", function(name, describe, **{k: parts[k] for k in order}), request)


def device_level(ctx: Context) -> Tool:
    """A number for a device of many."""
    key = ctx.one(DEVICE_KEYS)
    value = ctx.one(("level", "value", "speed", "percent", "to", "amount", "setting", "stage"))
    name = name_of(ctx, ("set", "change", "adjust", "write", "control", "put"),
                   ("level", "device_level", "speed", "output_level", "device_speed", "value",
                    "power_level", "dial", "knob"))
    called = names(ctx, "device")
    parts = {key: text(ctx, ("Which device", "Name of the device")),
             value: number(ctx, ("The level", "How much"))}
    order = turned(ctx, parts)

    def request(ctx: Context) -> Request:
        device, n = called.one(ctx), ctx.rng.randrange(1, ctx.one((10, 101)))
        given = {key: device, value: n}
        arguments = {k: given[k] for k in order}
        return Request(called.said(ctx, ctx.ask(say.DEVICE_LEVEL, d=device, n=n), device),
                       arguments, f"{called.the(device)} at {n}", done(ctx, arguments),
                       f"I set {called.the(device)} to {n}.")
    describe = ctx.one(("Sets the level of a device.", "Sets a device to a number.",
                        "Changes the speed or level of a device.", "Level of an output."))
    return Tool("device level", function(name, describe, **{k: parts[k] for k in order}), request)


def device_mode(ctx: Context) -> Tool:
    """One of a few modes for a device."""
    key, value = ctx.one(DEVICE_KEYS), ctx.one(("mode", "setting", "level", "to", "program"))
    modes = list(ctx.one(MODES))
    name = name_of(ctx, ("set", "change", "select", "switch", "choose", "control"),
                   ("mode", "device_mode", "program", "setting", "operating_mode"))
    called = names(ctx, "device")
    parts = {key: text(ctx, ("Which device", "Name of the device")),
             value: {"type": "string", "enum": modes}}
    order = turned(ctx, parts)

    def request(ctx: Context) -> Request:
        device, mode = called.one(ctx), ctx.one(modes)
        given = {key: device, value: mode}
        arguments = {k: given[k] for k in order}
        return Request(called.said(ctx, ctx.ask(say.DEVICE_MODE, d=device, m=mode), device),
                       arguments, f"{called.the(device)} on {mode}", done(ctx, arguments),
                       f"I set {called.the(device)} to {mode}.")
    describe = ctx.one(("Sets the mode of a device.", "Chooses a device's program.",
                        "Changes how a device runs.", "Mode of a device."))
    return Tool("device mode", function(name, describe, **{k: parts[k] for k in order}), request)
