"""Conversations and how they are rendered: Harmony, as the engine does it (model/harmony_render.c).

A message's content may hold LETTERS + word + LETTERS: the word is written a byte a token, which is
how the model writes words that it turns round. The text is the same without the marks.
"""
import dataclasses
import json
from typing import Any, Iterator

from bpe import Tokenizer

LETTERS = "\x01"
IDENTITY = "You are ChatGPT, a large language model trained by OpenAI."
CHANNELS = ("# Valid channels: analysis, commentary, final. "
            "Channel must be included for every message.")
CALLS = "\nCalls to these tools must go to the commentary channel: 'functions'."


@dataclasses.dataclass
class Message:
    """One message. learn: the model is to write it. role "tool": name is the tool's full name."""
    role: str
    content: str
    channel: str | None = None
    recipient: str | None = None
    name: str | None = None
    learn: bool = False


@dataclasses.dataclass
class Conversation:
    """What is said, in order, with what stands before it; tools are functions' JSON schemas."""
    kind: str
    effort: str = "medium"
    identity: str = IDENTITY
    cutoff: str = "2024-06"
    date: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    messages: list[Message] = dataclasses.field(default_factory=list)
    expect: dict[str, Any] = dataclasses.field(default_factory=dict)
    held: bool = False
    style: str | None = None

    def user(self, text: str) -> None:
        """The user speaks."""
        self.messages.append(Message("user", text))

    def past(self, text: str) -> None:
        """An answer of an earlier turn: not to be learnt, its reasoning dropped."""
        self.messages.append(Message("assistant", text, channel="final"))

    def think(self, text: str) -> None:
        """Reasoning to be learnt; none if empty."""
        if text:
            self.messages.append(Message("assistant", text, channel="analysis", learn=True))

    def answer(self, text: str) -> None:
        """The answer to be learnt."""
        self.messages.append(Message("assistant", text, channel="final", learn=True))

    def call(self, name: str, arguments: dict[str, Any], learn: bool = True) -> None:
        """A function call, its arguments in the order given."""
        content = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        self.messages.append(Message("assistant", content, channel="commentary",
                                     recipient="functions." + name, learn=learn))

    def result(self, name: str, text: str) -> None:
        """What a function gave back."""
        self.messages.append(Message("tool", text, channel="commentary", recipient="assistant",
                                     name="functions." + name))


def schema_type(schema: dict[str, Any]) -> str:
    """A property's schema as TypeScript (harmony.md 6.2); only what our tools use."""
    kind = schema["type"]
    if kind == "string" and schema.get("enum"):
        return " | ".join(f'"{value}"' for value in schema["enum"])
    return {"integer": "number"}.get(kind, kind)


def property_lines(key: str, schema: dict[str, Any], required: bool) -> str:
    """One property with its description and default (harmony.md 6.3)."""
    text = f"// {schema['description']}\n" if "description" in schema else ""
    text += f"{key}{'' if required else '?'}: {schema_type(schema)},"
    if "default" in schema:
        value = schema["default"]
        plain = isinstance(value, str) and "enum" in schema
        text += " // default: " + (value if plain else json.dumps(value))
    return text + "\n"


def function_lines(tool: dict[str, Any]) -> str:
    """One function of the namespace (harmony.md 6.1)."""
    text = f"// {tool['description']}\n" if tool.get("description") else ""
    parameters = tool.get("parameters")
    if not parameters:
        return text + f"type {tool['name']} = () => any;\n"
    required = parameters.get("required", [])
    inside = "".join(property_lines(key, schema, key in required)
                     for key, schema in parameters["properties"].items())
    return text + f"type {tool['name']} = (_: {{\n{inside}}}) => any;\n"


def system_text(c: Conversation) -> str:
    """The system message (harmony.md 4)."""
    lines = [c.identity, "Knowledge cutoff: " + c.cutoff]
    if c.date:
        lines.append("Current date: " + c.date)
    return "\n".join(lines) + f"\n\nReasoning: {c.effort}\n\n{CHANNELS}{CALLS if c.tools else ''}"


def developer_text(c: Conversation) -> str | None:
    """The developer message (harmony.md 5), None if there is none."""
    parts = []
    if c.instructions is not None:
        parts.append("# Instructions\n\n" + c.instructions)
    if c.tools:
        functions = "\n".join(function_lines(tool) for tool in c.tools)
        parts.append("# Tools\n\n## functions\n\nnamespace functions {\n\n" + functions +
                     "\n} // namespace functions")
    return "\n\n".join(parts) if parts else None


def pieces(c: Conversation) -> Iterator[tuple[str, bool, bool]]:
    """(text, is a special token, is to be learnt), in order. Neighbouring texts were joined."""
    opening = [Message("system", system_text(c))]
    developer = developer_text(c)
    if developer is not None:
        opening.append(Message("developer", developer))
    writes = False  # the model wrote the message before this one, and goes on
    last = len(opening) + len(c.messages) - 1
    for index, m in enumerate(opening + c.messages):
        yield "<|start|>", True, writes and m.learn
        role = m.name if m.role == "tool" else m.role
        if m.role == "assistant" and m.learn:
            yield role, False, writes
            role = ""
        head = role + (f" to={m.recipient}" if m.recipient else "")
        if head:
            yield head, False, m.learn
        if m.channel:
            is_call = m.role == "assistant" and m.recipient is not None
            yield "<|channel|>", True, m.learn
            yield m.channel + (" " if is_call else ""), False, m.learn
            if is_call:
                yield "<|constrain|>", True, m.learn
                yield "json", False, m.learn
        yield "<|message|>", True, m.learn
        yield m.content, False, m.learn
        ends = index == last and m.role == "assistant" and m.channel == "final"
        is_call = m.role == "assistant" and m.recipient is not None
        end = "<|call|>" if is_call else "<|return|>" if ends and m.learn else "<|end|>"
        yield end, True, m.learn
        writes = m.learn and end == "<|end|>"


def texts(c: Conversation) -> Iterator[str]:
    """The ordinary texts, for learning the vocabulary; what is written by letters is left out."""
    for text, special, _ in pieces(c):
        if not special:
            yield from text.split(LETTERS)[::2]


def asked(c: Conversation) -> str:
    """What a conversation asks: the user's texts and the instructions, small, unmarked."""
    users = [plain(m.content).lower().strip(" .?!") for m in c.messages if m.role == "user"]
    return json.dumps([c.instructions] + users)


def plain(text: str) -> str:
    """Content without its marks."""
    return text.replace(LETTERS, "")


def tokens(c: Conversation, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """(ids, mask): mask is 1 where the token is to be learnt."""
    ids: list[int] = []
    mask: list[int] = []
    for text, special, learn in pieces(c):
        if special:
            new = [tokenizer.special[text]]
        elif LETTERS in text:
            new = []
            for number, part in enumerate(text.split(LETTERS)):
                new += tokenizer.encode_letters(part) if number % 2 else tokenizer.encode(part)
        else:
            new = tokenizer.encode(text)
        ids += new
        mask += [int(learn)] * len(new)
    return ids, mask
