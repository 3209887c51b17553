"""What a presenter says on the screens of a page that is no lesson: one note a screen, in the order of the screens.

A page without an entry, and a screen beyond its notes, has the words of its pictures instead.
"""

NOTES: dict[str, tuple[str, ...]] = {
    "watch": (
        "Type a prompt, then press the right arrow. The first step is prefill: every token of the prompt writes "
        "its row at once. From then on each step is decode: one new row in every layer and KV head, and every "
        "older row is read again. Ask the room what grows with each press. Then compare the three models: the same "
        "steps, fewer rows to read with fewer KV heads. The dot under the roof hardly moves: decode stays bound by "
        "memory.",
    ),
    "bound": (
        "A dot left of the ridge waits for memory, right of it for arithmetic. Move the batch first: only the "
        "weights' reading is shared by it, each sequence still reads its own cache. Then look at the drafted "
        "tokens: k tokens checked in one step share one read of the cache, so the dots move right. MLA in its "
        "absorbed form starts near the ridge, so drafting gains it less. Where a dot is right of the ridge a "
        "smaller G buys room and no time.",
        "The same claim on a real machine: one cache, more query tokens at once. Where memory binds, the time "
        "hardly grows with k; where arithmetic binds, it grows with it. Say which G is which before you point at "
        "the lines.",
    ),
    "after": (
        "Read the formula aloud, factor by factor: G was only the first that the field turned. Take one idea at a "
        "time and ask which factor it attacks; the orange one answers. Say what the engines take for it as well: "
        "what the layout saves and what a server allocates are two numbers. End each idea with what G still means "
        "there.",
        "Each dot is a model that people serve, and may stand in several rows: count aloud with the sentence above "
        "how many keep G = H and nothing else. Then ask what the newest of them have in common.",
        "Ask the room before you choose: which factor does this config attack?",
    ),
    "timeline": (
        "The axis is what one token of a long sequence costs. Follow one colour from left to right: full MHA "
        "first, MQA and GQA from 2023 on, latents and hybrids below them. New dots are not all low: some teams still "
        "choose many KV heads. Hover over a dot that surprises somebody, or click it to take the model apart.",
    ),
    "engines": (
        "The same model costs different bytes on different servers. Find a row where two engines differ by several "
        "times and open it on Size: the Engine tab says which rule of the server it is.",
    ),
    "size": (
        "Read the verdict, then the picture: what is solid fits, what is faded does not. The sentence under it "
        "says why the server takes this many requests at once. If somebody asks about a number from a log, open "
        "Questions that people ask: the answer is two clicks away.",
    ),
}  # fmt: skip


def notes_of(page: str) -> tuple[str, ...]:
    """The notes of a page by its path; none where it has none of its own."""
    return NOTES.get(page, ())
