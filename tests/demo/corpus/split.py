"""The o200k split: text to the pieces inside which byte pairs merge.

Python's re has no \\p{..}; the classes are written out as ranges, once, from unicodedata.
Matching is leftmost, backtracking and greedy, as the pattern wants.
"""
import re
import sys
import unicodedata

SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def ranges(categories: set[str]) -> str:
    """The inside of a character class that holds every character of these categories."""
    out: list[str] = []
    start = None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)) in categories
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            out.append(f"\\U{start:08x}" + (f"-\\U{code - 1:08x}" if code - 1 > start else ""))
            start = None
    return "".join(out)


def build_pattern() -> re.Pattern[str]:
    """o200k's seven alternatives, in their order."""
    upper = ranges({"Lu", "Lt", "Lm", "Lo", "Mn", "Mc", "Me"})
    lower = ranges({"Ll", "Lm", "Lo", "Mn", "Mc", "Me"})
    letter = ranges({"Lu", "Lt", "Ll", "Lm", "Lo"})
    number = ranges({"Nd", "Nl", "No"})
    lead = f"[^\\r\\n{letter}{number}]?"
    tail = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    return re.compile("|".join([
        f"{lead}[{upper}]*[{lower}]+{tail}",
        f"{lead}[{upper}]+[{lower}]*{tail}",
        f"[{number}]{{1,3}}",
        f" ?[^{SPACES}{letter}{number}]+[\\r\\n/]*",
        f"[{SPACES}]*[\\r\\n]+",
        f"[{SPACES}]+(?![^{SPACES}])",
        f"[{SPACES}]+",
    ]))


# The same for text that is ASCII throughout: 20 times faster to build and to run.
ASCII_PATTERN = re.compile("|".join([
    r"[^\r\nA-Za-z0-9]?[A-Z]*[a-z]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"[^\r\nA-Za-z0-9]?[A-Z]+[a-z]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"[0-9]{1,3}",
    r" ?[^\t-\r A-Za-z0-9]+[\r\n/]*",
    r"[\t-\r ]*[\r\n]+",
    r"[\t-\r ]+(?![^\t-\r ])",
    r"[\t-\r ]+",
]))
_full: list[re.Pattern[str]] = []


def split(text: str) -> list[str]:
    """The pieces of a text, in order; joined they are the text again."""
    if text.isascii():
        return ASCII_PATTERN.findall(text)
    if not _full:
        _full.append(build_pattern())
    return [match.group() for match in _full[0].finditer(text)]
