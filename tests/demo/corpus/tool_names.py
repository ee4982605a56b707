"""Names of places, devices, songs, towns, persons: known, made-up and rare ones, to copy."""
import dataclasses
import re

from grammar import Context, reserved
from task_words import made_up
from words import (CITIES, COLORS, COMMON, DEVICES, NAMES, PLACE_ADJECTIVES, PLACES, SIDES, SONGS,
                   TOWN_ENDS, TOWN_STARTS)

ROOMS = ("room", "hall", "zone", "lab", "office", "floor", "bay", "sector", "cell", "rack", "desk",
         "gate", "tank", "studio", "suite", "block", "hut", "cabin", "greenhouse", "house", "field",
         "aisle", "stable", "level", "unit", "station", "bed", "ward", "garage", "cellar")
OWNED = ("room", "office", "desk", "workshop", "garage", "garden", "kitchen", "flat", "bedroom",
         "studio", "shed", "house", "lab", "car", "tent", "cabin")
THINGS = ("lamp", "fan", "heater", "pump", "light", "radio", "kettle", "printer", "camera", "motor",
          "valve", "siren", "screen", "charger", "speaker", "dryer", "relay", "sprinkler", "LED",
          "lantern", "monitor", "laptop", "cooler", "robot", "laser", "blower", "compressor")
NUMBERED = THINGS + ("socket", "outlet", "channel", "port", "output", "switch", "plug", "unit",
                     "line", "server", "node", "belt", "drive", "strip", "spot", "bulb", "breaker")
TITLE_HEADS = ("Song for", "Waltz of the", "Dance of the", "Ballad of the", "Return of the",
               "My", "The", "No More", "Under the", "Over the", "Hello,", "Goodbye,", "One Last",
               "Lullaby for a", "Where Is the", "Call Me", "A")
TITLES = ("Mum", "Dad", "Grandma", "Grandpa", "Aunt Mia", "Uncle Ben", "Dr. Klein", "Mrs. Hill",
          "Mr. Brown", "Ms. Vega", "Professor Lund", "Captain Nilsen", "Nurse Okoye", "Coach Reed")
SURNAMES = ("Hall", "Berg", "Costa", "Ito", "Novak", "Silva", "Weber", "Moreau", "Lind", "Park",
            "Adler", "Brandt", "Carver", "Duran", "Egan", "Fox", "Grant", "Haas", "Ivanov",
            "Jansen")
# Parts of a place that is named by its number, and what stands in such a place.
PARTS = ("server rack", "corner", "closet", "cabinet", "wine rack", "entrance", "back wall",
         "shelf", "top shelf", "north side", "cupboard", "storage", "freezer", "tool chest",
         "wardrobe",
         "north corner", "locker", "rack", "incubator", "display case", "loft", "annex", "vault")
KINDS_OF = ("water", "steam", "oil", "air", "ceiling", "wall", "floor", "desk", "window", "door",
            "exhaust", "reading", "backup", "spare", "test", "signal", "cooling", "feed", "belt")
ON_PLACES = ("balcony", "roof", "terrace", "porch", "patio", "landing", "deck", "veranda",
             "driveway", "rooftop", "first floor", "ground floor", "top floor", "upper deck")


def mark(ctx: Context) -> str:
    """A number, a letter or both: 12, B, 4C, A7."""
    digits = str(ctx.rng.randrange(1, ctx.one((10, 10, 40, 400))))
    letter = chr(ord("A") + ctx.rng.randrange(26))
    return ctx.rng.choices((digits, letter, digits + letter, letter + digits), (6, 3, 1, 1))[0]


def bare_name(ctx: Context, sort: str) -> str:
    """A name that has no article: room 204, valve B, Anna's office."""
    if ctx.chance(0.3):
        return f"{ctx.one(NAMES)}'s {ctx.one(OWNED if sort == 'place' else THINGS)}"
    name = f"{ctx.one(ROOMS if sort == 'place' else NUMBERED)} {mark(ctx)}"
    if ctx.chance(0.3):  # room 12 server rack, zone B fan, room 12 ceiling fan
        thing = ctx.one(PARTS if sort == "place" else THINGS)
        kind = ctx.one(KINDS_OF) + " " if sort != "place" and ctx.chance(0.4) else ""
        name = f"{ctx.one(ROOMS)} {mark(ctx)} {kind}{thing}"
    return name[0].upper() + name[1:] if ctx.chance(0.2) else name


def noun_name(ctx: Context, sort: str) -> str:
    """A rare name of two or three words that takes an article: blue room, attic fan."""
    invented = not ctx.held and ctx.chance(0.12)
    before = ""
    if ctx.chance(0.25):  # a word more, any: small wild kitchen, north river pump
        before = ctx.one(COLORS + PLACE_ADJECTIVES + SIDES if sort == "place" else COLORS) + " "
    if ctx.chance(0.3):
        first = before + (made_up(ctx, 8) if invented else ctx.one(COMMON))
    elif sort == "place":
        first = made_up(ctx, 8) if invented else ctx.one(COLORS + PLACE_ADJECTIVES + SIDES)
    else:
        first = before + (made_up(ctx, 8) if invented else ctx.one(COLORS + SIDES + PLACES * 2))
    if sort == "place":
        return f"{first} {ctx.one(PLACES + ROOMS + ('wing', 'tower', 'corridor', 'annex'))}"
    kind = ctx.one(KINDS_OF) + " " if ctx.chance(0.2) else ""
    return f"{first} {kind}{ctx.one(THINGS)}"


def song_name(ctx: Context) -> str:
    """A title that nobody knows."""
    first, second = (ctx.one(COMMON).capitalize() for _ in range(2))
    forms = (f"{first} {second}", f"{first} and {second}", f"{ctx.one(TITLE_HEADS)} {first}",
             f"{first} {ctx.rng.randrange(2, 100)}", f"{first} of {ctx.one(CITIES)}",
             f"{ctx.one(NAMES)}'s {first}", f"{ctx.one(TITLE_HEADS)} {first} {second}",
             f"{first} in the {second}", f"{first} {second}".lower(), first)
    return ctx.one(forms)


def town_name(ctx: Context) -> str:
    """A town that is on few maps."""
    name = ctx.one(TOWN_STARTS) + ctx.one(TOWN_ENDS)
    return ctx.one((name, name, f"{ctx.one(('New', 'Port', 'Upper', 'East', 'Old', 'St.'))} {name}",
                    f"{name} {ctx.one(('Bay', 'Falls', 'Hill', 'Springs', 'Beach', 'Valley'))}"))


def full_name(ctx: Context) -> str:
    """A person by two names, or three."""
    middle = f" {chr(ord('A') + ctx.rng.randrange(26))}." if ctx.chance(0.1) else ""
    return f"{ctx.one(NAMES)}{middle} {ctx.one(SURNAMES)}"


RARE = {"song": song_name, "city": town_name, "person": full_name}
LISTS = {"song": SONGS, "city": CITIES, "place": PLACES, "device": DEVICES, "person": NAMES}


def rare(ctx: Context, sort: str) -> str:
    """A rare name; one in HELD is for questions alone."""
    if sort == "person" and ctx.chance(0.5):
        return ctx.one(TITLES)
    for _ in range(200):
        name = RARE[sort](ctx) if sort in RARE else noun_name(ctx, sort)
        words = name.split()
        if reserved("name", name) == ctx.held and len(set(words)) == len(words):
            return name
    return name


def invent(ctx: Context, sort: str) -> str:
    """A word that is none, sometimes two."""
    name = made_up(ctx, 9)
    if sort in ("person", "city", "song"):
        name = name[0].upper() + name[1:]
    if sort == "person":
        return f"{name} {ctx.one(SURNAMES)}" if ctx.chance(0.2) else name
    return f"{name} {made_up(ctx, 6)}" if ctx.chance(0.25) else name


@dataclasses.dataclass
class Names:
    """Names of one sort for one tool: with an article (the attic), or bare (room 204)."""
    sort: str
    bare: bool = False

    def one(self, ctx: Context) -> str:
        """A name: known, made up (in training) or rare."""
        if self.bare:
            for _ in range(200):
                name = bare_name(ctx, self.sort)
                if reserved("name", name) == ctx.held:
                    break
            return name
        chance = ctx.rng.random()
        if chance < 0.14 and not ctx.held:
            return invent(ctx, self.sort)
        return rare(ctx, self.sort) if chance < 0.40 else ctx.one(LISTS[self.sort])

    def said(self, ctx: Context, text: str, name: str) -> str:
        """What the user says, with "on the balcony", and without "the" before a bare name."""
        if name in ON_PLACES and ctx.chance(0.7):
            text = re.sub(rf"\bin the {name}\b(?! door| window| light)", "on the " + name, text)
        if self.bare and ("'" in name or ctx.chance(0.9)):
            text = re.sub(r"\bthe " + re.escape(name), name, text, flags=re.IGNORECASE)
        return text

    def the(self, name: str) -> str:
        """The name with its article, within a sentence."""
        return name if self.bare else "the " + name


def names(ctx: Context, sort: str) -> Names:
    """The names of a tool."""
    return Names(sort, ctx.chance(0.14))
