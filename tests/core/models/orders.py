"""What a refusal's last sentence has to be: an order to the reader."""

import re

ORDER = re.compile(
    r"^(Add|Ask|Check|Choose|Convert|Correct|Delete|Download|Give|List|Make|Measure|Merge|Move|Nest|Open|Paste|Pick|Read"
    r"|Say|Set|Take|Write)\b|, or (ask|give|pick|take)\b|: (download|give|paste)\b"
)


def is_silent(said: str) -> bool:
    """Whether the text ends with a complaint, and nothing in its last sentence says what to do."""
    return not ORDER.search(re.split(r"(?<=[.!?]) ", said.strip())[-1])
