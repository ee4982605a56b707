"""Still more that users say to tools, so that no word stands in one sentence alone."""

FURTHER: dict[str, tuple[str, ...]] = {
    "SWITCH_ON": (
        "{d} ought to be on.", "The {d} ought to run.", "{d} is supposed to be on.",
        "The {d} is supposed to run now.", "We'd like to have the {d} on.",
        "I'm needing the {d} on.", "Start what is called \"{d}\".",
        "Why isn't the {d} on? Start it.", "Why is the {d} not running? Turn it on.",
        "The {d} stopped, start it again.", "The {d} needs to be started.",
        "Would you mind starting the {d}?", "Give the {d} power.", "Give power to the {d}.",
        "Let the {d} have power.",
    ),
    "SWITCH_OFF": (
        "{d} ought to be off.", "The {d} ought to stop.", "{d} is supposed to be off.",
        "The {d} is supposed to stop now.", "We'd like to have the {d} off.",
        "That's all for the {d}, turn it off.", "That's it with the {d}.",
        "The {d} is not needed today.", "Nobody needs the {d}, stop it.",
        "Is nobody using the {d}? Stop it.", "I am not using the {d} now.", "{d} not needed",
        "{d} is done", "{d}: done with it", "The {d} is done for today.",
        "Why is the {d} still running? Stop it.", "Would you mind stopping the {d}?",
        "The {d} needs to be stopped.", "We have used the {d} long enough.",
        "The {d} was on long enough.",
    ),
    "DEVICE_STATE": (
        "{d} running or stopped?", "Has the {d} stopped?", "Has somebody stopped the {d}?",
        "The {d} status, please.", "What's the status of the {d}?", "What is the {d}: on or off?",
        "Which state is the {d} in?", "Which state does the {d} have?",
        "{d}: which is it, on or off?", "Has anybody turned the {d} off?",
        "Did anybody leave the {d} on?", "Isn't the {d} on?", "Isn't the {d} off yet?",
        "Did I forget the {d}?", "Did someone leave the {d} on?", "Has someone turned off the {d}?",
    ),
    "OPENING_STATE": (
        "Isn't the {p} {o} open?", "Isn't the {o} in the {p} closed?",
        "Which is it, {p} {o}: closed or open?", "Which state is the {p} {o} in?",
        "Did anybody close the {p} {o}?", "Did anybody forget to close the {p} {o}?",
        "Does any {o} in the {p} stand open?",
        "Did someone close the {o} in the {p}?",
    ),
    "LOCK_STATE": (
        "Is the {p} door already locked?", "Is the {p} still unlocked?",
        "Is the {p} door still locked?", "Has the {p} already been unlocked?",
        "Did someone unlock the {p}?", "Did anybody unlock the {p} door?",
        "Did I leave the {p} door unlocked?", "Did somebody leave the {p} unlocked?",
        "Have the bolts of the {p} been closed?", "Are the {p} bolts shut?",
        "Did somebody forget to lock the {p}?", "Did somebody lock the door of the {p}?",
        "{p} door, unlocked or locked?", "{p}, locked or not?",
        "Is the door of the {p} locked or unlocked?", "Is the door to the {p} unlocked or locked?",
    ),
    "LIGHT_ON": (
        "I want the {p} lit.", "Is the {p} lit? If not, turn on the light.",
        "I can't see anything in the {p}, light please.", "I can't see in the {p}.",
        "Nobody can see in the {p}, switch on the light.",
    ),
    "LIGHT_OFF": (
        "The {p} needs no light.", "Turn off any light in the {p}.",
        "There is nobody in the {p}, no light please.", "I don't want any light in the {p}.",
        "The {p} has too much light, switch it off.",
        "Nobody needs to have the {p} lit, turn it off.",
    ),
    "HEATING": (
        "The {p} needs to be at {n} degrees.", "The {p} needs a temperature of {n}.",
    ),
    "DEVICE_LEVEL": (
        "The {d} needs to be at {n}.", "The {d} needs to run on level {n}.",
    ),
    "DEVICE_MODE": (
        "The {d} needs {m} mode.", "The {d} needs to run on {m}.",
    ),
    "TIMER": (
        "The rice needs {n} minutes, start a timer.",
        "The pizza takes {n} minutes, then it is ready.",
        "The pasta takes {n} minutes; set a timer.", "We have {n} minutes, then call me.",
        "Keep counting for {n} minutes.", "Start counting: {n} minutes.",
    ),
    "REMIND": (
        "In {n} minutes it's time to {s}.", "It's time to {s} in {n} minutes, tell me then.",
        "I want to be reminded to {s}, in {n} minutes.",
        "I may not {s} in {n} minutes if you don't remind me.", "remind: {n} min, {s}",
        "{n} min: {s}", "When {n} minutes are over, let me know that I have to {s}.",
        "Let me know in {n} minutes to {s}.",
    ),
    "LIST_ADD": (
        "We have to buy {s}, put it on the list.", "buy: {s}",
        "I want to buy {s}, add it to the list.", "One more entry: {s}",
        "Make an entry for {s} on the {l} list.", "One more thing for the list: {s}",
        "{s} is still missing, add it.", "The list is missing {s}.",
        "{s} has to be added to the {l} list.", "I'd like {s} added to my list.",
        "More for the list: {s}",
    ),
    "MUSIC": (
        "I'm in the mood for the track {s}.", "{s} fits my mood, play it.", "Some music: {s}",
        "I'd like some music, {s} please.", "Would be nice to hear {s}.",
        "A nice song is {s}, put it on.", "I feel like hearing the song {s}.",
        "I am up for {s}, start playing.", "Hearing {s} would be nice.", "Play {s} once again.",
        "Start playing {s} once again.", "Again the track {s}.", "Further with {s}.",
        "Start playing the title {s}.", "Start playing the piece {s}.",
    ),
    "WEATHER": (
        "Is the weather bad in {c}?", "Good or bad weather in {c}?",
        "What kind of weather is it in {c}?", "What kind of weather do they have in {c}?",
        "Is it rainy in {c}?", "Is it rainy or sunny over {c}?",
        "Should we take an umbrella to {c}?", "Should we take a coat with us to {c}?",
        "How is it in the city of {c}, rain or sun?", "Which weather does the city {c} have?",
        "Does the sun shine or does it rain in {c}?", "{c}: how many degrees?",
        "{c}: do I need a coat?", "{c}: is it windy?",
    ),
    "LOCKED": (
        "The {p} needs to be {v}.", "The {p} door needs to be {v}.",
        "The {p} door ought to be {v}.", "The door of the {p} ought to be {v}.",
        "We want the {p} door {v}.", "We would like the {p} {v}.", "Would you have the {p} {v}?",
        "The {p} lock has to be {v}.", "Set the {p} lock to {v}.",
    ),
    "TIME": (
        "Is it early or late?", "Is it early yet?", "What time do you have there?",
        "What time is it there, where you are?", "Which time is it?", "Which time do you have?",
        "Is it getting late already?", "Has my clock stopped? What time is it?",
        "My clock stopped, tell me the time.", "And what time is it on your side?",
        "Just tell me what time it is.",
    ),
    "MESSAGE": (
        "{n} needs to hear that {s}.", "{n} needs to know: {s}", "Send an sms to {n}: {s}",
        "Send {n} an sms: {s}", "{n} has to hear: {s}", "New note for {n}: {s}",
        "A new message for {n}: {s}", "I'd like {n} to hear that {s}.",
    ),
    "SENSE_ASK": (
        "{p}: is the {q} OK or not?", "{p}: {q} too high or too low?", "Place: \"{p}\", {q}?",
        "I wanted the {q} in the {p}.", "I just wanted to know the {q} in the {p}.",
        "{p} {q}: up or down?",
    ),
}
FURTHER["SENSE_ASK"] += tuple(
    text.replace("PLACE", place) for place in ("{p}", "\"{p}\"") for text in (
        "PLACE: I need the {q}.", "PLACE: get me the {q}.", "PLACE, tell me the {q}",
        "PLACE: what {q} is there?", "PLACE, what's the {q}?", "PLACE, how high is the {q}?",
        "PLACE: measure the {q}.", "PLACE: show the {q}", "PLACE {q} reading",
        "PLACE {q} value?", "PLACE: {q} now", "PLACE: which {q}?"))
FURTHER["WEATHER"] += (
    "{c}, is it raining?", "{c}, rain or sun?", "{c}, hot or cold?", "{c}: will it rain?",
    "{c}: what is the weather like?", "{c}: tell me the weather", "{c} right now: sunny?",
    "{c} today: what weather?", "{c}, do I need an umbrella?", "{c} sky?", "{c}: forecast, please")
FURTHER["OPENING_STATE"] += (
    "{p} {o} shut?", "{p} {o}: shut or open?", "{p} {o}, is it open?", "{p} {o}: is it closed?",
    "{p} {o}: still open?", "{p} {o}: check it.", "{p} {o} - closed or open?",
    "\"{p}\" {o}, closed or open?", "{p}, {o} open or closed?", "{p}: did I close the {o}?")
