"""More that users say to tools: what is wanted, put into sentences that want anything."""
from grammar import bare, parsed, texts
from tool_first import FIRST
from tool_further import FURTHER
from tool_wants import CLAUSES, NOUNS, ORDERS

# What an order stands in: nothing but a mark comes behind it, it may end in words to be copied.
COMMANDS = (
    "Could you {x}?", "Would you [please |kindly |]{x}?", "Can you [quickly |just |]{x}?",
    "can u [please |]{x}", "Will you [please |]{x}?", "I'd like you to {x}.",
    "I [want|need] you to {x}.", "Make sure to {x}.", "Go ahead and {x}.", "Go and {x}.",
    "Don't forget to {x}.", "Be so kind and {x}.",
    "{x}, [will|would|could] you?",
    "Your [task|job|next task] is to {x}.", "Do me a favour and {x}.",
    "[You should|You must] {x}.", "Is it possible to {x}?",
    "[My wish|My request|An order|To do]: {x}",
)
OURS = ("It's time to {x}.", "Let's {x}.", "I [want|would like|have] to {x}.",
        "[We must|We should|We have to] {x}.")
COMMANDS += OURS
# What a thing that is asked for stands in.
ASKED = (
    "I'd like to [know|see] {x}.", "I want to [know|see|hear] {x}.",
    "Could you [tell|show|give] me {x}?", "Can you [read|check|look up|find] {x}?",
    "Would you [tell me|find out|report|check] {x}?", "can u [tell|show|give] me {x}",
    "May I [know|see|have] {x}?", "Let me [know|see|have] {x}.", "[Get|Fetch|Bring] me {x}.",
    "I need {x} [now|at once|right now].", "I am [curious|asking] about {x}.",
    "I [wonder|am asking myself] about {x}.", "[Print|Display|Output|Report] {x} for me.",
    "[What|And what|How] about {x}?", "Have a [look|glance] at {x}.",
    "[Find out|Determine|Look up|Query] {x} for me.", "Update me on {x}.",
    "Do you [know|have|see] {x}?", "[Any idea of|Any word on|Any information on] {x}?",
    "All I [want|need] is {x}.", "I [would like|ask for|asked for] {x}.",
)
# What an indirect question stands in.
WONDERED = (
    "Tell me {x}[| now].", "Do you [know|see|happen to know] {x}?",
    "Can you [tell me|see|find out|check] {x}?", "Could you [tell me|say|check] {x}?",
    "I'd like to [know|find out] {x}.", "I want to [know|find out] {x}.", "I wonder {x}.",
    "I need to know {x}.", "[Any|Have you any] idea {x}?", "Find out {x}.", "Let me know {x}.",
    "can u [say|tell me|check] {x}", "I [forgot|don't know|can't say] {x}.",
    "Would you [tell me|check|find out] {x}?", "May I [ask|know] {x}?", "Say {x}.",
    "I'm not sure {x}.", "[Check|Look up|See] {x} for me.", "I [ask|am asking] you {x}.",
    "I am curious {x}.",
)


def spread(frames: tuple[str, ...], wants: tuple[str, ...]) -> list[str]:
    """Sentences in which every frame and every want stands three times."""
    out = []
    for shift in range(3 if wants else 0):
        for at in range(max(len(frames), len(wants))):
            want = wants[(at + shift) % len(wants)]
            frame = frames[at % len(frames)]
            if frame in OURS and " me " in f"{want} ":
                continue
            text = frame.replace("{x}", want)
            out.append(text if text[0] in "{[\"" else text[0].upper() + text[1:])
    return out


def grown(name: str, old: tuple[str, ...]) -> tuple[str, ...]:
    """A list with more wordings; none says what another one of the list says already."""
    out = list(old)
    seen = {bare(text) for template in old for text in texts(parsed(template))}
    for template in (*FIRST.get(name, ()), *FURTHER.get(name, ()),
                     *spread(COMMANDS, ORDERS.get(name, ())),
                     *spread(ASKED, NOUNS.get(name, ())),
                     *spread(WONDERED, CLAUSES.get(name, ()))):
        said = {bare(text) for text in texts(parsed(template))}
        if not said & seen:
            out.append(template)
            seen |= said
    return tuple(out)
