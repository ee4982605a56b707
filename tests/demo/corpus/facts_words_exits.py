"""Wordings of the questions about exit codes in which their words stand once more."""


def exits_words(code: int, meaning: str) -> tuple[str, ...]:
    """Wordings with what a run does at its end, and with what one wants to know of it."""
    return (
        f"The program [quit|finished|stopped] with {code}.",
        f"ossicle [finished|quit|stopped|exited] with [code|status|exit code] {code}.",
        f"It finished and [gave|returned] {code}, [why|what does that mean]?",
        f"It quit with [an|the] exit [code|status] of {code}.",
        f"[Try to explain|Explain to me, please,] the [status|exit status|return code] {code}.",
        f"What is the explanation of exit [code|status] {code}?",
        f"I [get|got] {code} as the exit code, what is the [reason|cause]?",
        f"I see that it exits with {code}. What is the meaning?",
        f"The shell shows exit [code|status] {code}, what happened?",
        f"After ossicle run the [exit code|status|return value] is {code}.",
        f"What is the cause if ossicle [ends|exits|stops] with {code}?",
        f"What [happens|has happened] when [it|the program] [exits|quits] with {code}?",
        f"How do I [understand|interpret] the [status|return code|return value] {code}?",
        f"What does {code} stand for when the program ends?",
        f"When do I get [exit code|status|code] {code} [back|from ossicle]?",
        f"Which [error|event|end] does [exit code|status] {code} stand for?",
        f"My script [stopped|ended] because ossicle [returned|gave back] {code}.",
        f"Which exit [code|status] do I get [after|for|from] {meaning}?",
        f"Which [number|code] [means|is for] {meaning} when the program exits?",
        f"With which [code|status] does it [end|stop|quit] after {meaning}?")


# What the codes are called in messages, and what they mean in other words.
EXITS_ONLY: dict[int, tuple[str, ...]] = {
    4: ("What is meant by FORMAT?", "It [says|prints|shows] FORMAT, what does it mean?",
        "[ossicle|The program|It] ended with FORMAT.", "FORMAT[, what does that mean|]?",
        "The error is called FORMAT. What is it?", "Why do I get the error FORMAT?",
        "What does the [error|message] FORMAT [mean|say]?"),
    5: ("What is meant by UNSUPPORTED?", "It [says|prints|shows] UNSUPPORTED, why?",
        "[ossicle|The program|It] ended with UNSUPPORTED.", "UNSUPPORTED[, what does that mean|]?",
        "The error is called UNSUPPORTED. What is it?", "Why do I get the error UNSUPPORTED?",
        "What does the [error|message] UNSUPPORTED [mean|say]?"),
}
