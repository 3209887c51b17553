"""Whether what only the server's own HF_TOKEN can read may be read for whoever looks at a page.

A gate's conditions are accepted by one account, and its token reads what that account may. On a machine of one's own
that is the reader. On a server that others reach it is its owner, so the token is not sent at all there: what anybody
may read still comes, a gated or private repository is refused by name, before anything of it was fetched. The owner may
say otherwise for the people who sign in (pages/server/entry.py). One rule for a process, set before it serves: nobody
sees a page of a server with sign-in without it.
"""

SHUT = (
    "This server does not show what its own HF_TOKEN alone can read. Its owner can allow it for signed-in people "
    "(docs/sharing.md); or drop the config.json itself."
)
_shut = False


def set_shut(shut: bool) -> None:
    """Called once at the start of a server; the command line and scripts read with the token of who runs them."""
    global _shut
    _shut = shut


def is_shut() -> bool:
    return _shut


def token() -> bool | None:
    """As huggingface_hub's functions take it: None is the token of the environment, False is none."""
    return False if _shut else None
