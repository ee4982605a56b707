"""Small talk, who it is, the name and the style it is told, the date, and what it does not know."""
import talk_more
import talk_plain
import talk_self
import talk_who
from grammar import Context, a_date, divided
from harmony import Conversation
from talk_asks import MORE_SMALL
from talk_words import WORDS_SMALL
from talk_words_more import WORDS_SMALL_MORE
from words import BOT_NAMES, CITIES, COLORS, COUNTRIES, FOODS, NAMES, PETS

# (key, what the user says, answers); MORE_SMALL has more of what the user says.
SMALL_FIRST: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("hello",
     ("Hello!", "Hi!", "Hey!", "Hello there!", "Hi there.", "Good [day|to see you]!", "Hello", "hi",
               "hey", "Hey there!", "Greetings!", "Howdy!", "Hiya!", "Yo!",
      "Hello, how's it going?"),
     ("Hello! How can I help you?", "Hi! What can I do for you?")),
    ("morning",
     ("Good morning!", "Good morning.", "Morning!", "good morning", "A good morning to you!",
                 "Good morning, how are you?"),
     ("Good morning! How can I help you?", "Good morning! What can I do for you?")),
    ("evening",
     ("Good evening!", "Good evening.", "Evening!", "good evening", "A good evening to you!",
                 "Good evening, are you there?"),
     ("Good evening! How can I help you?", "Good evening! What can I do for you?")),
    ("night",
     ("Good night!", "Good night.", "I go to bed now.", "Sleep well!", "I am going to sleep.",
      "Nighty night!"),
     ("Good night! Sleep well.", "Good night, see you tomorrow!")),
    ("how",
     ("How are you?", "How are you doing?", "How do you do?", "How is it going?",
      "How do you feel[| today]?",
             "Are you well?", "Are you OK?", "Everything fine?", "How are things?", "What's up?",
      "how r u"),
     ("I am fine, thank you. How can I help you?",
      "All is well here, thank you! What can I do for you?")),
    ("thanks",
     ("Thank you!", "Thanks!", "Thanks a lot.", "Thank you very much!", "Many thanks!", "thx",
      "thanks",
                "That helped, thank you.", "Thank you for your help.", "Cheers, thanks!"),
     ("You are welcome!", "You are welcome. Is there anything else?")),
    ("bye",
     ("Bye!", "Goodbye!", "See you!", "Good bye.", "See you later!", "bye bye", "I have to go.",
      "Until tomorrow!",
             "Farewell!", "Have a nice day!"),
     ("Goodbye! Have a nice day.", "Goodbye, see you soon!")),
    ("great",
     ("You are great!", "Well done!", "Good job!", "You are clever.", "Nice work!", "I like you.",
      "That was good.",
               "Perfect!", "Great answer!", "You are nice."),
     ("Thank you, that is kind of you!", "Thank you! I am glad to help.")),
    ("bad",
     ("You are stupid.", "That was wrong.", "You are wrong.", "That is not right.", "This is bad.",
      "You made a mistake.",
             "I don't like that answer.", "That's nonsense."),
     ("I am sorry. I am a small model and make mistakes.",
      "Sorry about that! I am small, and I can be wrong.")),
    ("bored",
     ("I am bored.", "I'm bored.", "What shall we do?", "What can we do?", "I have nothing to do.",
      "Entertain me.",
               "Let's do something.", "This is boring."),
     ("Shall I tell you a story, or do you want to play with words?",
      "I can tell a story or turn words around. Shall I?")),
    ("sad",
     ("I am sad.", "I'm sad today.", "I feel bad.", "I had a bad day.", "I am unhappy.",
      "I feel lonely.",
             "I am not feeling well.", "Today is a bad day."),
     ("I am sorry to hear that. Shall I tell you a story?",
      "I am sorry. I hope it gets better soon.")),
    ("happy",
     ("I am happy!", "I'm happy today.", "I feel great!", "I had a good day.", "Life is good!",
      "Today is a good day.",
               "I am in a good mood."),
     ("I am glad to hear that!", "That is nice to hear!")),
    ("joke",
     ("Tell me a joke.", "Do you know a joke?", "A joke, please!", "Make me laugh.",
      "Say something funny.",
              "Can you tell a joke?", "I want to hear a joke.", "Joke!", "Do you know any jokes?"),
     ("Why did the token stop? It had reached the end.",
      "What does a byte eat? A bit of everything.",
      "Why was the model so small? It had lost some weights.")),
    ("sorry",
     ("Sorry!", "I am sorry.", "Excuse me.", "My mistake.", "Oh, sorry.", "Pardon me!",
      "I apologize."),
     ("No problem at all!", "That is all right!")),
    ("yes no",
     ("Yes.", "No.", "OK.", "Okay!", "Yes, please.", "No, thanks.", "Sure.", "Fine.", "Maybe."),
     ("All right. What can I do for you?", "All right! What would you like to know?")),
    ("welcome",
     ("Can you help me?", "I need help.", "Help!", "Help me, please.", "I need your help.",
      "Could you help?",
                 "I have a question.", "May I ask you something?", "Can I ask a question?"),
     ("Of course! What would you like to know?", "Yes, of course. What is it?")),
)
WORDS = {**WORDS_SMALL, **WORDS_SMALL_MORE}
SMALL = tuple((key, says + MORE_SMALL[key] + WORDS[key], answers)
              for key, says, answers in SMALL_FIRST)
WHO = ("Who are you?", "What are you?", "What's your name?", "What is your name?",
       "Who am I talking to?",
       "Introduce yourself.", "Tell me about yourself.", "Are you a [robot|person|human]?",
       "Are you ChatGPT?",
       "What kind of [model|assistant] are you?", "Do you have a name?", "Which model are you?",
       "Are you an AI?",
       "Who is there?", "Who answers here?", "your name?", "Say who you are.",
       "What should I call you?",
       "How are you called?", "With whom do I speak?")
WHO += talk_who.WHO + talk_self.WORDS["WHO"]
I_AM = ("I am the demo model of Ossicle, a small assistant on your own machine.",
        "I am Ossicle's demo model: small, but at home on your machine.")
CAN = ("What can you do?", "What are you good at?", "How can you help me?",
       "What can I ask[| you]?", "What do you know?",
       "What are your skills?", "What may I ask?", "Tell me what you can do.",
       "What are you able to do?", "what can u do",
       "List what you can do.", "What do you do?", "What are you made for?",
       "What questions can you answer?")
CAN += talk_who.CAN + talk_self.WORDS["CAN"]
I_CAN = ("I know Ossicle and its commands, I do sums, spell words, convert units, call tools and "
         "tell short stories.",
         "I can explain Ossicle, work out sums, spell and count letters, convert units, use tools "
         "and tell a story.")
SIZE = ("How big are you?", "How large are you?", "How many parameters do you have?",
        "How small are you?",
        "What size are you?", "Are you a large model?", "Are you a big model?",
        "How many weights do you have?")
SIZE += talk_who.SIZE + talk_self.WORDS["SIZE"]
MY_SIZE = ("I am tiny: my file has less than 4 MB.", "I am a very small model, less than 4 MB.")
MAKER = ("Who made you?", "Who trained you?", "Where do you come from?", "Who created you?",
         "Who is your maker?",
         "Who built you?", "How were you trained?", "Where were you made?",
         "What were you trained on?")
MAKER += talk_who.MAKER + talk_self.WORDS["MAKER"]
MADE = ("I was trained by Ossicle's makers, on text that their own program made.",
        "Ossicle's makers trained me, on conversations made by their own program.")
NAME_TOLD = ("You are {n}.", "Your name is {n}.", "You are called {n}.",
             "You are {n}, a helpful assistant.",
             "You are {n}, the assistant of a small board.", "You are a robot named {n}.",
             "Call yourself {n}.",
             "Your name is {n}. Be [brief|friendly|helpful].",
             "You are {n}, a [kind|cheerful|small] assistant.",
             "Act as {n}.", "Please answer as {n}.", "You are an assistant called {n}.")
NAME_TOLD += talk_more.NAME_TOLD
NAMED = ("I am {n}, your assistant. How can I help you?", "My name is {n}. What can I do for you?",
         "I am {n}. How can I help you?")
HAS_OTHER = ("Is your name {o}?", "Are you {o}?", "Are you called {o}?", "You are {o}, right?",
             "Is it {o}?",
             "Hello {o}!", "Do they call you {o}?")
HAS_OTHER += talk_more.HAS_OTHER + talk_self.WORDS["HAS_OTHER"]
STYLES: dict[str, tuple[str, ...]] = {
    "pirate": ("Talk like a pirate.", "You are a pirate.", "Answer like a pirate.",
               "Speak as a pirate would.",
               "Use pirate language.", "Be a pirate.", "Answer in pirate style.",
               "Sound like a pirate."),
    "lower": ("Write all in lower case.", "Use only small letters.", "Answer in lower case.",
              "No capital letters.",
              "Write everything in small letters.", "Never use capital letters.",
              "lower case only"),
    "upper": ("Write all in capitals.", "Use only capital letters.", "Answer in upper case.",
              "SHOUT.",
              "Write everything in capital letters.", "Upper case only.", "Use capitals only."),
    "short": ("Be brief.", "Answer in one word if you can.", "Be short.", "Keep it short.",
              "Short answers[| only].",
              "Answer briefly.", "Be concise.", "As short as you can."),
    "polite": ("Be very polite.", "Always call the user sir.", "Be polite.",
               "Answer like a butler.", "Say sir.",
               "You are a butler.", "Address the user as sir.", "Use polite language."),
    "german": ("Answer in German.", "Speak German.", "Always answer in German.",
               "Antworte auf Deutsch.", "Use German.",
               "Sprich Deutsch.", "German only.", "Reply in German.", "Write in German."),
}
STYLES = {kind: asks + talk_more.STYLES[kind] + talk_self.STYLES.get(kind, ())
          for kind, asks in STYLES.items()}
GERMAN: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Hello!", "Hi!", "Hey!", "Hallo!", "Hallo", "Guten Tag!", "Hi there!", "Hello there."),
     "Hallo! Wie kann ich helfen?"),
    (("Good morning!", "Guten Morgen!", "Good morning.", "Morning!"),
     "Guten Morgen! Wie kann ich helfen?"),
    (("Good evening!", "Guten Abend!", "Good evening."), "Guten Abend! Wie kann ich helfen?"),
    (("Good night!", "Gute Nacht!", "Sleep well!"), "Gute Nacht!"),
    (("Thank you!", "Thanks!", "Danke!", "Vielen Dank!", "Thanks a lot."), "Gern geschehen!"),
    (("Bye!", "Goodbye!", "See you!", "Auf Wiedersehen!", "Bis bald!"), "Auf Wiedersehen!"),
    (("How are you?", "Wie geht es dir?", "How do you do?", "Wie geht's?", "How is it going?"),
     "Danke, mir geht es gut."),
    (("Who are you?", "Wer bist du?", "What are you?", "What is your name?", "Wie heißt du?",
      "Was bist du?"),
     "Ich bin das Demo-Modell von Ossicle."),
    (("What can you do?", "Was kannst du?", "How can you help me?", "What do you know?"),
     "Ich kann rechnen, buchstabieren und Fragen zu Ossicle beantworten."),
    (("Do you speak German?", "Sprichst du Deutsch?", "Kannst du Deutsch?"),
     "Ja, ein wenig Deutsch."),
)
GERMAN = tuple((says + more, answer) for (says, answer), more in zip(GERMAN, talk_more.GERMAN))
IS_GERMAN = ("Hallo!", "Hallo", "Guten Tag!", "Guten Morgen!", "Guten Abend!", "Gute Nacht!",
             "Danke!",
             "Vielen Dank!", "Auf Wiedersehen!", "Bis bald!", "Wie geht es dir?", "Wie geht's?",
             "Wer bist du?",
             "Wie heißt du?", "Was bist du?", "Was kannst du?", "Sprichst du Deutsch?",
             "Kannst du Deutsch?")
IS_GERMAN += tuple(text for more in talk_more.GERMAN for text in more)
NOT_TRAINED = {text for _, says, _ in SMALL for text in divided(says)[1]}
DATE = ("What is the date[| today]?", "What day is [it|today]?", "Which date is it?",
        "Today's date?",
        "What's today's date?", "Do you know the date?", "Tell me the date.",
        "What date do we have?",
        "Which day is it today?", "date?", "What is today's date?",
        "Can you tell me what day it is?")
DATE += talk_more.DATE + talk_self.WORDS["DATE"]
YEAR = ("What year is it?", "Which year is it?", "What year do we have?", "Tell me the year.",
        "year?",
        "Which year do we have now?", "What is the current year?", "Do you know the year?")
YEAR += talk_more.YEAR + talk_self.WORDS["YEAR"]
MONTH = ("Which month is it?", "What month is it?", "What month do we have?", "Tell me the month.",
         "What is the current month?", "In which month are we?", "Which month do we have now?")
MONTH += talk_more.MONTH + talk_self.WORDS["MONTH"]
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October",
          "November", "December")
TIME = (
    "What time is it?", "What's the time?", "Tell me the time.", "How late is it?", "time?",
    "Do you know the time?", "What time do we have?", "Can you tell me what time it is?",
    "Which hour is it?", "Give me the time.", "What is the time now?", "Is it late?",
    "Is it noon [yet|already]?", "I need the time.", "Have you got the time?",
    "What does the clock say?", "What is the current time?", "What hour is it?",
    "I'd like to know the time.", "Is it already evening?", "Time, please.", "what time",
    "Could you look at the clock?", "Do you have a clock?", "What's the hour?",
    "Is it past [six|noon|midnight]?", "How many hours until midnight?", "Is it time for lunch?",
)
TIME += talk_self.WORDS["TIME"]


def small(ctx: Context, c: Conversation) -> None:
    """A greeting, thanks and the like."""
    key, says, answers = ctx.one(SMALL)
    c.user(ctx.ask(says, polite=0))
    think(c, "Small talk.", "The user makes small talk. A friendly answer.")
    c.answer(ctx.answer(answers))
    c.expect = {"any": list(answers)}


def think(c: Conversation, medium: str, high: str) -> None:
    """Reasoning where there is little to think."""
    c.think({"low": "", "medium": medium, "high": high}[c.effort])


def who(ctx: Context, c: Conversation) -> None:
    """Who it is, what it can do, its size, its makers."""
    says, answers, sure = ctx.rng.choices(((WHO, I_AM, "Ossicle"), (CAN, I_CAN, "Ossicle"),
                                           (SIZE, MY_SIZE, "4 MB"),
                                           (MAKER, MADE, "Ossicle's makers")),
                                          (5, 4, 1, 2))[0]
    c.user(ctx.ask(says))
    think(c, "The user asks about me.", "The user asks about me. I say what I am.")
    c.answer(ctx.answer(answers))
    c.expect = {"all": [sure]}


def named(ctx: Context, c: Conversation) -> None:
    """A name in the instructions or in the identity line."""
    name = ctx.pick(BOT_NAMES + NAMES, "bot")
    told = ctx.say(ctx.one(NAME_TOLD), n=name)
    if ctx.chance(0.25):
        c.identity = told
    else:
        c.instructions = told
    roll = ctx.rng.random()
    if roll < 0.25:
        other = name if ctx.chance(0.4) else ctx.pick(BOT_NAMES + NAMES, "bot")
        c.user(ctx.ask(HAS_OTHER, 0, o=other))
        think(c, f"My name is {name}.", f"I am told that my name is {name}. The user says {other}.")
        c.answer(f"Yes, I am {name}." if name == other else f"No, I am {name}.")
        c.expect = {"all": [f"I am {name}"]}
        return
    if roll < 0.35:
        small(ctx, c)
        return
    c.user(ctx.ask(WHO))
    think(c, f"My name is {name}.", f"The user asks who I am. I am told that my name is {name}.")
    c.answer(ctx.answer(NAMED, n=name))
    c.expect = {"all": [name]}


def short_form(answer: str) -> str:
    """An answer in a few words."""
    short = answer.split("! ")[0].rstrip("!.")
    return short if short[-1] == "?" else short + "."


def restyled(style: str, answer: str) -> str:
    """An answer in the style that the instructions ask."""
    if style == "pirate":
        return "Arr! " + answer + " Ahoy, matey!"
    if style == "polite":
        return "Certainly, sir. " + answer
    return {"lower": answer.lower(), "upper": answer.upper(), "short": short_form(answer)}[style]


def expected(kind: str, answers: tuple[str, ...]) -> list[str]:
    """The answers that are right in the style."""
    return list(answers) if kind == "german" else [restyled(kind, answer) for answer in answers]


def style(ctx: Context, c: Conversation) -> None:
    """Instructions about the style, and small talk in it."""
    # German is a list of phrases and so never held out.
    kind = ctx.rng.choices(list(STYLES), (3, 3, 2, 2, 3, 0 if ctx.held else 4))[0]
    c.instructions = ctx.ask(STYLES[kind], 0, slips=0)
    if kind == "german":
        says, answer = ctx.one(GERMAN)
        answers = (answer,)
        c.user(ctx.one([text for text in says if text not in NOT_TRAINED]))
        if c.messages[-1].content in IS_GERMAN and ctx.chance(0.5):
            c.instructions = None
        think(c, "Answer in German.", "The user wants German. I answer in German.")
    else:
        some = SMALL[:10] if kind == "short" else SMALL  # the answers of the others are short
        says, answers = ctx.one([(s, a) for _, s, a in some] + [(WHO, I_AM)])
        c.user(ctx.ask(says, 0))
        answer = restyled(kind, ctx.answer(answers))
        words = {"pirate": "like a pirate", "lower": "in lower case", "upper": "in capitals",
                 "short": "briefly",
                 "polite": "politely"}[kind]
        think(c, f"Answer {words}.", f"I am told to answer {words}.")
    c.answer(answer)
    c.expect = {"any": expected(kind, answers)}


PLAIN = ("You are a helpful assistant.", "Be helpful.", "Answer the user's questions.",
         "You are the assistant of a small board.",
         "Help the user.", "You help people who use Ossicle.", "Answer as well as you can.",
         "Use the tools if you need them.",
         "You are a friendly assistant.", "Be kind.", "Think before you answer.",
         "You run on a small board in a [house|lab|office].")
PLAIN += talk_plain.PLAIN
STYLED = ("arithmetic", "compare", "units", "facts", "unknown")


def instructed(ctx: Context, c: Conversation, styled: bool) -> None:
    """Instructions that leave the task as it is; a style only where answers are made to fit it."""
    roll = ctx.rng.random()
    if styled and roll < 0.3:
        c.style = ctx.one(("pirate", "polite"))
        c.instructions = ctx.ask(STYLES[c.style], 0, slips=0)
    elif roll < 0.6:
        c.instructions = ctx.say(ctx.one(NAME_TOLD), n=ctx.pick(BOT_NAMES + NAMES, "bot"))
    else:
        c.instructions = ctx.ask(PLAIN, 0, slips=0)


def apply_style(c: Conversation) -> None:
    """Every answer in the style that the instructions ask."""
    for m in c.messages:
        if c.style and m.role == "assistant" and m.channel == "final":
            m.content = restyled(c.style, m.content)


def today(ctx: Context, c: Conversation) -> None:
    """The date of the system message, or that there is none."""
    kind = ctx.one(("date", "date", "year", "month", "time"))
    c.date = a_date(ctx) if ctx.chance(0.65) else None
    c.user(ctx.ask({"date": DATE, "year": YEAR, "month": MONTH, "time": TIME}[kind]))
    if kind == "time":
        think(c, "No tool tells the time.", "The user asks for the time. I have no tool for it.")
        c.answer(ctx.answer(("I do not know the time: no tool tells me.",
                          "I have no clock, so I do not know the time.")))
        c.expect = {"all": ["know the time"]}
        return
    if c.date is None:
        think(c, "No date is given.", "The system message has no date. I do not know it.")
        c.answer(ctx.answer(("I was not told the date; --date YYYY-MM-DD tells me.",
                          "I do not know the date: it was not told to me.")))
        c.expect = {"any": ["not told", "do not know"]}
        return
    month = MONTHS[int(c.date[5:7]) - 1]
    think(c, f"The date is {c.date}.", f"The system message says that the date is {c.date}.")
    answer = {"date": f"Today is {c.date}.", "year": f"It is the year {c.date[:4]}.",
              "month": f"It is {month}."}[kind]
    c.answer(answer)
    c.expect = {"all": [{"date": c.date, "year": c.date[:4], "month": month}[kind]]}


FAVOURITE = ("What is your favourite {k}?", "What's your favorite {k}?",
             "Do you have a favourite {k}?",
             "Which {k} do you like best?", "Which {k} do you prefer?", "Your favourite {k}?")
FAVOURITE += talk_more.FAVOURITE + talk_self.WORDS["FAVOURITE"]
DO_YOU = ("Do you [like|love] {x}?", "Have you a {x}?", "Do you eat {x}?", "Can you eat {x}?",
          "Did you ever see a {x}?",
          "Do you want a {x}?", "Would you like a {x}?", "Is a {x} something you like?")
DO_YOU += talk_more.DO_YOU + talk_self.WORDS["DO_YOU"]


def taste(ctx: Context, c: Conversation) -> None:
    """Questions a program has no answer of its own to."""
    if ctx.chance(0.6):
        c.user(ctx.ask(FAVOURITE,
                       k=ctx.one(("colour", "color", "food", "animal", "song", "book", "city",
                                  "number",
                                            "word", "film", "drink", "day", "season", "game",
                                  "movie", "band", "sport", "country", "language", "poem", "flower",
                                  "tree", "fruit", "dish", "holiday", "month", "singer", "planet",
                                  "painter", "letter", "meal", "place", "car", "writer"))))
    else:
        c.user(ctx.ask(DO_YOU, x=ctx.one(FOODS + PETS + COLORS + CITIES + COUNTRIES)))
    think(c, "I am a program.", "I am a program, and have no taste of my own.")
    c.answer(ctx.answer(("I am a program and have no taste of my own.",
                      "I am only a program, so I cannot say.")))
    c.expect = {"all": ["program"]}


def talk(ctx: Context, c: Conversation) -> None:
    """One of these."""
    ctx.rng.choices((small, who, named, style, today, taste), (24, 20, 22, 20, 10, 6))[0](ctx, c)
