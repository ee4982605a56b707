"""Questions about Ossicle (facts.py, facts_about.py)."""
import functools
import re

from facts import COMMAND_FRAMES, COMMANDS, OPTION_FRAMES, OPTIONS, Fact
from facts_about import ABOUT
from facts_more import MORE
from grammar import Context, bare, divided, parsed, texts
from harmony import Conversation

# Words of a question that may stand for one another.
SYNONYMS = {
    "see": ("view", "look at", "find out"), "choose": ("pick", "select"),
    "pick": ("choose", "select"),
    "set": ("change", "adjust", "specify"), "start": ("begin", "launch"),
    "stop": ("halt", "cancel"),
    "prints": ("shows", "displays", "outputs"), "shows": ("prints", "displays"), "memory": ("RAM",),
    "GPU": ("graphics card", "video card"), "machine": ("computer", "PC"),
    "speed": ("performance",),
    "answer": ("reply", "response"), "answers": ("replies", "responses"),
    "option": ("flag", "switch"),
    "large": ("big", "huge"), "big": ("large", "huge"), "need": ("require", "want"),
    "use": ("try",),
    "check": ("test", "make sure of"),
    "fast": ("quick",),
    "limit": ("cap",), "load": ("open", "read"),
    "save": ("store", "keep"),
    "find": ("discover",), "say": ("tell",),
    "damaged": ("corrupt", "broken"),
    "measure": ("time", "test"), "kernels": ("CPU code",),
    "conversation": ("dialogue", "talk"), "program": ("software", "tool"),
    "question": ("query",), "works": ("runs",), "written": ("coded",),
    "slow": ("sluggish",),
    "select": ("choose", "pick"),
    "reduce": ("lower", "decrease"), "raise": ("increase",), "increase": ("raise",),
    "delete": ("remove", "erase"), "clear": ("empty", "erase"),
    "begin": ("start",), "interrupt": ("stop", "cancel"), "cancel": ("stop", "interrupt"),
    "cores": ("CPU cores",), "necessary": ("needed", "required"),
    "needed": ("required", "necessary"), "needs": ("requires", "wants"),
    "licence": ("license",), "license": ("licence",), "makers": ("developers", "authors"),
    "shell": ("terminal",), "computer": ("machine", "PC"), "PC": ("computer", "machine"),
    "disable": ("turn off", "switch off"), "enable": ("turn on", "switch on"),
    "display": ("show",), "compute": ("calculate", "work out"), "kind": ("sort", "type"),
    "behave": ("act",), "store": ("keep", "save"), "keep": ("save",),
    "broken": ("damaged", "corrupt"), "bigger": ("larger",),
    "larger": ("bigger",), "detected": ("found", "recognized"), "found": ("detected", "seen"),
    "listed": ("shown",), "slowly": ("sluggishly",), "quick": ("fast",),
    "halt": ("stop",), "abort": ("cancel", "stop"),
    
    "built": ("compiled",), "compile": ("build",), "garbage": ("rubbish", "gibberish"),
    "nonsense": ("garbage", "rubbish", "gibberish"), "laptop": ("notebook", "machine"),
    "gigabytes": ("GB",), "GB": ("gigabytes",),
}
TAILS = ("", "", "", "", "", "", " in Ossicle", " with Ossicle", " here", " with this program",
         "", "", "", "", "", "", " with ossicle", " using Ossicle", " in this program",
         " with this tool", " on my machine")
# What stands before or after a question that ends in a question mark, {q}.
LEADS = (
    "About Ossicle: {q}", "A question about Ossicle: {q}", "I have a question: {q}",
    "I have a question about Ossicle. {q}", "I am new to Ossicle. {q}", "I'm new here. {q}",
    "I just installed Ossicle. {q}", "I have just started with this. {q}",
    "{q} I could not find it in the [docs|README|manual|help].", "{q} I am new to this.",
    "{q} I have no idea.", "{q} Thanks in advance!", "One more question: {q}",
    "Something else: {q}", "For my notes: {q}", "A colleague asks: {q}", "Someone asked me: {q}",
    "{q} Just curious.", "I was wondering: {q}", "Sorry to bother you: {q}",
    "Beginner's question: {q}", "Ossicle question: {q}", "One thing is unclear to me. {q}",
    "{q} Do you know?", "Can you tell me? {q}", "Do you know this? {q}", "{q} Any [hint|idea]?",
    "Maybe a stupid question: {q}", "{q} I'd like to know.", "I read the README, but: {q}",
    "I need to know this: {q}", "{q} A short answer is enough.", "My question is: {q}",
    "I tried, but I'm stuck. {q}", "{q} [Can you help?|Can you help me with that?]",
    "Help me out here: {q}", "For the docs I write: {q}", "{q} I forgot.", "Remind me: {q}",
    "Just to be sure: {q}", "I am using Ossicle for the first time. {q}",
)
# What a wording begins with, and the frames that say the same with what follows, {g}.
HOW = (
    "How do I {g}?", "How can I {g}?", "How to {g}?", "I want to {g}.", "I'd like to {g}.",
    "What do I type to {g}?",
    "Is there a way to {g}?", "What is the way to {g}?", "Help me {g}.", "Show me how to {g}.",
    "Tell me how to {g}.",
    "Can I {g}?", "How would I {g}?", "How does one {g}?", "What must I do to {g}?",
    "I need to {g}, how?",
    "Explain how to {g}.", "Do you know how to {g}?", "What should I do to {g}?",
    "Is it possible to {g}?", "{g}?",
    "How could I {g}?", "I am trying to {g}.", "What's the best way to {g}?",
    "What do I have to do to {g}?", "Can you tell me how to {g}?", "How should I {g}?",
    "Could you [show|tell] me how to {g}?", "I don't know how to {g}.", "How might I {g}?",
    "I'd like to know how to {g}.", "How are you supposed to {g}?", "What is needed to {g}?",
    "Please tell me how I can {g}.", "Is there any way to {g}?", "Any way to {g}?",
    "Which steps do I take to {g}?", "can u tell me how to {g}", "My aim is to {g}.",
    "I can't figure out how to {g}.", "I am looking for a way to {g}.", "Remind me how to {g}.",
    "To {g}, what do I type?", "To {g}, what do I have to do?", "Am I able to {g}?",
    "What would I type to {g}?", "What's the right way to {g}?", "What's the easiest way to {g}?",
    "I have to {g}. How?", "How do people {g}?", "I wonder how to {g}.", "I forgot how to {g}.",
    "Teach me how to {g}.", "I wish to {g}. What do I do?", "How do you {g}?",
    "Do you know a way to {g}?", "Suppose I want to {g}. How?", "I must {g}, but how?",
    "If I want to {g}, what do I do?", "how to {g}", "What's the trick to {g}?",
    "I'm wondering how I can {g}.", "Would you explain how to {g}?",
)
WHAT = (
    "What is {g}?", "What's {g}?", "What does {g} mean?", "Explain {g}.", "Define {g}.",
    "Tell me about {g}.", "{g}?",
    "What do you know about {g}?", "I don't know what {g} is.", "Tell me what {g} is.",
    "What do you mean by {g}?",
    "Describe {g}.", "Can you explain {g}?", "What exactly is {g}?", "I have never heard of {g}.",
    "Say something about {g}.",
    "Give me a short explanation of {g}.", "Please explain {g}.",
    "Can you tell me about {g}?", "Could you explain {g}[| to me]?",
    "I'd like to know more about {g}.", "What can you tell me about {g}?",
    "I keep reading about {g}, what is that?", "What do people mean by {g}?",
    "{g}: what is that?", "What is meant by {g}?", "Teach me about {g}.",
    "Help me understand {g}.", "I don't understand {g}.", "Give me a definition of {g}.",
    "[What's the |]meaning of {g}?", "In short, what is {g}?", "How would you describe {g}?",
    "How would you explain {g}[| to a beginner]?", "Info on {g}?", "{g}, what is that?",
    "I'd like an explanation of {g}.", "The README mentions {g}. What is that?",
    "Do you know anything about {g}?", "I am not sure what to make of {g}.",
    "What should I know about {g}?", "Say in a few words what is meant by {g}.",
    "Somebody mentioned {g}. What is that?", "what's {g} supposed to be?",
)
MANY = tuple(frame.replace("what {g} is", "what {g} are").replace("does {g}", "do {g}")
             .replace("hat is {g}", "hat are {g}").replace("exactly is", "exactly are")
             .replace("What's {g}", "What're {g}").replace("what is that", "what are those")
             .replace("What is that", "What are those") for frame in WHAT
             if "what's {g}" not in frame)
WHICH = (
    "Which command {g}?", "What command {g}?", "Is there a command that {g}?",
    "Name the command that {g}.",
    "I am looking for a command that {g}.", "What {g}?", "Which of the commands {g}?",
    "What is the command that {g}?",
    "Tell me which command {g}.", "I need the command that {g}.",
    "Do you know a command that {g}?", "What's the command that {g}?",
    "What is the name of the command that {g}?", "I forgot which command {g}.",
    "Show me the command that {g}.", "Give me the command that {g}.",
    "Is there any command that {g}?", "I need to know which command {g}.",
    "Can you tell me which command {g}?", "Could you name the command that {g}?",
    "I want a command that {g}.", "What is it called, the command that {g}?",
    "There must be a command that {g}. Which one?", "Do you have a command that {g}?",
    "Remind me which command {g}.", "Say which command {g}.",
    "Does Ossicle have a command that {g}?", "which command {g}",
)
OPTION = tuple(frame.replace("commands", "options").replace("command", "option") for frame in WHICH)
REFRAME = (
    (r"(?:How do I|How can I|Can I|How do you) (.*)\?$", HOW),
    (r"(?:I want to|I'd like to) ([^.]*)\.$", HOW), (r"What are (.*s)\?$", MANY),
    (r"(?:What is|What's|What are) (.*[a-z4F])\?$", WHAT),
    (r"What does (.*) mean\?$", WHAT), (r"(?:Explain|Describe|Tell me about) (.*s)\.$", MANY),
    (r"(?:Explain|Describe|Tell me about) (.*)\.$", WHAT), (r"Which command (.*)\?$", WHICH),
    (r"Which option (.*)\?$", OPTION),
)
# What a part that stays may not begin with: the frames would make no sentence of it.
STIFF = ("the way", "the meaning", "the reason", "the cause", "the [reason", "in ", "know ", "do ",
         "can ", "should ", "must ", "would ", "meant ", "needed", "there ", "special", "wrong",
         "going ", "missing", "inside ", "[stored ", "it ", "it?", "called ", "that ")
OPEN = (" for", "]for", " made with", " in", " used", " about", " called", " by", "for in Ossicle")


@functools.lru_cache(maxsize=None)
def other_frames(template: str) -> tuple[str, tuple[str, ...]]:
    """(the part that stays, the frames it may stand in); no frames for any other wording."""
    for pattern, frames in REFRAME:
        match = re.match(pattern, template)
        goal = match.group(1) if match else "in "
        if not goal.startswith(STIFF) and goal != "it" and not goal.endswith(OPEN):
            return goal, frames
    return "", ()


def synonyms(ctx: Context, template: str) -> str:
    """The template with a few words changed; those in alternatives or with ossicle stay."""
    if "[" in template or "ossicle " in template or ctx.chance(0.4):
        return template
    words = [ctx.one(SYNONYMS[word]) if word in SYNONYMS and ctx.chance(0.4) else word
             for word in re.split(r"(\W+)", template)]
    return "".join(words)


@functools.lru_cache(maxsize=None)
def spoken(template: str) -> frozenset[str]:
    """All that a template may come out as."""
    return frozenset(bare(text.replace("  ", " ")) for text in texts(parsed(template)))


@functools.lru_cache(maxsize=None)
def reserved_for(questions: tuple[str, ...]) -> frozenset[str]:
    """All that the held-out ones of these may come out as."""
    return frozenset(text for template in divided(questions)[1] for text in spoken(template))


@functools.lru_cache(maxsize=None)
def wordings(key: str, questions: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(for training, for the questions)."""
    training, held = divided(questions)
    more = tuple(text for text in MORE[key] if spoken(text).isdisjoint(reserved_for(questions)))
    return training + more, held


def fresh(ctx: Context, new: str, old: str, questions: tuple[str, ...]) -> str:
    """The new wording, but the old one where training would get one that is held out."""
    if ctx.held or spoken(new).isdisjoint(reserved_for(questions)):
        return new
    return old


def question(ctx: Context, fact: Fact, frames: tuple[str, ...] | None) -> str:
    """One wording; nearly half of those about a command or an option name it."""
    key, _, questions, _ = fact
    if frames and ctx.chance(0.4):
        return ctx.ask(frames, x=key)
    template = ctx.one(wordings(key, questions)[ctx.held])
    goal, others = other_frames(template)
    if others and ctx.chance(0.55):
        other = ctx.one(divided(others)[ctx.held]).replace("{g}", goal)
        template = fresh(ctx, other[0].upper() + other[1:], template, questions)
    template = fresh(ctx, synonyms(ctx, template), template, questions)
    lead = template.endswith("?") and ctx.chance(0.12)
    if lead:
        template = ctx.one(divided(LEADS)[ctx.held]).replace("{q}", template)
    text = ctx.ask((template,), 0 if lead else 0.25)
    if not lead and text.endswith("?") and frames is not None and "ossicle" not in text.lower():
        text = text[:-1] + ctx.one(TAILS) + "?"
    return text


def pick_fact(ctx: Context) -> tuple[Fact, tuple[str, ...] | None]:
    """A fact and the frames that go with it."""
    facts, frames = ctx.rng.choices(((COMMANDS, COMMAND_FRAMES), (OPTIONS, OPTION_FRAMES),
                                     (ABOUT, None)),
                                    (len(COMMANDS) * 1.5, len(OPTIONS), len(ABOUT)))[0]
    return ctx.one(facts), frames


def topic(key: str) -> str:
    """What the reasoning calls it."""
    if key.startswith("exit "):
        return "exit code " + key[5:]
    return "ossicle " + key if any(key == fact[0] for fact in COMMANDS) else key


def facts(ctx: Context, c: Conversation) -> None:
    """One question about Ossicle."""
    fact, frames = pick_fact(ctx)
    key, sure, _, answers = fact
    c.user(question(ctx, fact, frames))
    if c.effort == "medium":
        c.think(f"The user asks about {topic(key)}.")
    elif c.effort == "high":
        c.think(f"The user asks about {topic(key)}. This is about Ossicle, and I know it.")
    c.answer(ctx.answer(answers))
    c.expect = {"all": [sure]}
