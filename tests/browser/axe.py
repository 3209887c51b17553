"""axe-core in a page of the browser tests: what is serious or critical and not Streamlit's own markup."""

from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

# Streamlit's own markup, which no option of it changes: (rule, selector that every node of the violation must match).
STREAMLITS_OWN: tuple[tuple[str, str], ...] = (
    # The navigation is <ul><div><li>: st.navigation has no option for its markup. Screen readers still read the links.
    ("list", '[data-testid="stSidebarNavItems"]'),
    ("listitem", '[data-testid="stSidebarNavItems"] li'),
)

SERIOUS = ("serious", "critical")


AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# A rule of axe gives its one impact to whatever it finds: the rules of lesser impact need not look.
RUN = r"""([impacts, streamlits]) => {
  const lesser = axe._audit.rules.filter(({ impact }) => !impacts.includes(impact))
  const rules = Object.fromEntries(lesser.map(({ id }) => [id, { enabled: false }]))
  return axe.run(document, { resultTypes: ["violations"], rules }).then(({ violations }) =>
    violations.filter(({ impact }) => impacts.includes(impact)).flatMap(({ id, impact, nodes }) => nodes
      .filter(({ target }) => !streamlits.some(([rule, selector]) => rule === id &&
        document.querySelector(String(target.at(-1))).matches(selector)))
      .map(({ target, html, failureSummary }) => `${id} (${impact}) ${target.join(" ")}: ${html.slice(0, 160)}
    ${failureSummary.trim().split("\n").at(-1).trim()}`)))
}"""


def violations(page: Page) -> list[str]:
    """Rule, impact, selector and what is wrong, one line a node that is not named in STREAMLITS_OWN."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(RUN, [SERIOUS, STREAMLITS_OWN])
    return found
