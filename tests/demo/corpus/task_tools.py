"""Calling tools: when one fits, with the right arguments, and saying so when none does."""
import json
import re

import task_facts
import task_math
import task_talk
import task_unknown
import task_words
from grammar import Context
from harmony import Conversation
from tool_kinds import Request, Tool
from tool_more import alike, tools

NO_TOOL = ("I have no tool for that.", "Sorry, none of my tools can do that.")
ERRORS = ("exit code 1", "exit code 3", "exit code 127", "no result within 30 seconds",
          "no such file", "not found", "busy",
          "no answer", "cannot open the device", "permission denied", "no such device",
          "not connected", "timeout", "sensor broken", "access denied", "unknown name",
          "out of range", "no power", "device offline", "cannot reach the device", "no connection",
          "wrong argument", "sensor missing", "busy, try again later", "not allowed", "bad value",
          "exit code 2", "exit code 255", "the file is empty", "unknown device", "network down",
          "checksum wrong", "overheated", "low battery", "blocked", "jammed", "error 17",
          "no reply from address 0x48", "bus error", "unknown place", "disk full", "server error")


def plan(c: Conversation, tool: Tool, request: Request, more: bool = False) -> None:
    """The reasoning before a call."""
    if c.effort == "medium":
        c.think(f"I need {request.need}: "
                f"{tool.name}." if not more else f"Next {request.need}: {tool.name}.")
    elif c.effort == "high":
        given = ", ".join(f"{key} is {json.dumps(value)}"
                          for key, value in request.arguments.items())
        c.think(f"The user wants {request.need}. The tool {tool.name} does "
                "this" + (f": {given}." if given else "."))


def broken(ctx: Context) -> tuple[str, str]:
    """(what a tool that fails gives back, the answer)."""
    why = ctx.one(ERRORS)
    return (ctx.one((f'{{"ok":false,"error":"{why}"}}', f'{{"error":"{why}"}}', f"error: {why}",
                     f'{{"error": "{why}"}}', f'{{"error": "{why}"}}', f"Error: {why}",
                     f'{{"ok": false, "error": "{why}"}}', f"failed: {why}",
                     f'{{"ok":false,"message":"{why}"}}', f'{{"status":"error","error":"{why}"}}')),
            f"That did not work: {why}.")


def give(ctx: Context, c: Conversation, tool: Tool, request: Request) -> str:
    """The call and its result; returns what is to be answered."""
    c.call(tool.name, request.arguments)
    result, answer = (request.result,
                      request.answer) if c.held or not ctx.chance(0.06) else broken(ctx)
    c.result(tool.name, result)
    return answer


def sure(request: Request, answer: str) -> list[str]:
    """What every right answer has: the words given that are in it, and its numbers."""
    given = [v for v in request.arguments.values() if not isinstance(v, bool)]
    words = [str(v) for v in given if str(v) in answer]
    told = answer.rstrip(".").split(" is ")[-1]
    words += [told] if told in request.result else []
    return sorted(set(words + re.findall(r"-?\d[\d:.-]*\d|-?\d", answer)))


def expect(c: Conversation, pairs: list[tuple[Tool, Request]]) -> None:
    """What a check looks for."""
    c.expect = {"calls": [{"name": t.name, "arguments": r.arguments} for t, r in pairs],
                "all": [word for _, r in pairs for word in sure(r, r.answer)]}


def one_call(ctx: Context, c: Conversation) -> None:
    """One request, one call, one answer."""
    made = tools(ctx, ctx.rng.choices((1, 2, 3), (50, 38, 12))[0])
    c.tools = [tool.schema for tool in made]
    tool = ctx.one(made)
    request = tool.request(ctx)
    c.user(request.says)
    plan(c, tool, request)
    answer = give(ctx, c, tool, request)
    if c.effort == "high":
        c.think("I have the result.")
    c.answer(answer)
    expect(c, [(tool, request)])


def joined(ctx: Context, first: str, second: str) -> str:
    """Two requests as one text: two sentences, or one with an "and"."""
    if ctx.chance(0.35) and re.match(r"[A-Z][a-z]+ [a-z]", second):
        joint = ctx.one((" and ", " and then ", ", then ", ", and ", " and also ", "; then "))
        return first.rstrip(".?!") + joint + second[0].lower() + second[1:]
    joint = ctx.one((" ", " Then: ", " And: ", " Also: ", " After that: ", " Next: ", "\n"))
    return (first if first[-1] in ".?!" else first + ".") + joint + second


def two_calls(ctx: Context, c: Conversation) -> None:
    """Two requests in one message, one after the other."""
    made = tools(ctx, 1)
    if "parameters" not in made[0].schema or ctx.chance(0.5):
        made = tools(ctx, 2)
    c.tools = [tool.schema for tool in made]
    pairs: list[tuple[Tool, Request]] = []
    for tool in (made[0], made[-1]):
        request = tool.request(ctx)
        for _ in range(9):
            if not pairs or request.arguments != pairs[0][1].arguments or tool is not made[0]:
                break
            request = tool.request(ctx)
        pairs.append((tool, request))
    c.user(joined(ctx, *(request.says for _, request in pairs)))
    answers = []
    for number, (tool, request) in enumerate(pairs):
        plan(c, tool, request, more=number > 0)
        answers.append(give(ctx, c, tool, request))
    c.answer(" ".join(answers))
    expect(c, pairs)


def no_tool(ctx: Context, c: Conversation) -> None:
    """The request is for a tool that is not there."""
    made = tools(ctx, ctx.rng.choices((1, 2), (60, 40))[0])
    c.tools = [tool.schema for tool in made]
    while True:
        other = tools(ctx, 1)[0]
        if other.kind not in ("time", "date",
                              "weather") and not any(alike(other.kind, t.kind) for t in made):
            break
    request = other.request(ctx)
    c.user(request.says)
    if c.effort == "medium":
        c.think(f"No tool for {request.need}.")
    elif c.effort == "high":
        c.think(f"The user wants {request.need}. I have {', '.join(t.name for t in made)}. No tool "
                "for this.")
    c.answer(ctx.answer(NO_TOOL))
    c.expect = {"calls": [], "all": ["tool"]}


def no_need(ctx: Context, c: Conversation) -> None:
    """Something that needs no tool, with tools at hand."""
    made = tools(ctx, ctx.rng.choices((1, 2), (70, 30))[0])
    task = ctx.rng.choices((task_math.arithmetic, task_facts.facts, task_talk.small, task_talk.who,
                            task_words.letters,
                            task_unknown.unknown), (6, 4, 3, 2, 2, 2))[0]
    schemas = [tool.schema for tool in made if tool.kind != "weather"]
    c.tools = schemas or [tools_without_weather(ctx)]
    task(ctx, c)
    c.expect["calls"] = []


def tools_without_weather(ctx: Context) -> dict:
    """One tool that no general question can be for."""
    while True:
        tool = tools(ctx, 1)[0]
        if tool.kind != "weather":
            return tool.schema


def calling(ctx: Context, c: Conversation) -> None:
    """One of these."""
    ctx.rng.choices((one_call, two_calls, no_tool, no_need), (66, 12, 11, 11))[0](ctx, c)
