"""axe-core in a page of the browser tests: what is serious or critical."""

from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")
# What else a page has wrong it has in either theme: names, roles and order are the same nodes in other colours.
OF_COLOUR = ("color-contrast", "link-in-text-block")


AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# A rule of axe gives its one impact to whatever it finds: the rules of lesser impact need not look.
RUN = r"""([impacts, only, within]) => {
  const others = axe._audit.rules.filter(({ id, impact }) => !impacts.includes(impact) || (only && !only.includes(id)))
  const rules = Object.fromEntries(others.map(({ id }) => [id, { enabled: false }]))
  return axe.run(within ?? document, { resultTypes: ["violations"], rules }).then(({ violations }) =>
    violations.filter(({ impact }) => impacts.includes(impact)).flatMap(({ id, impact, nodes }) => nodes
      .map(({ target, html, failureSummary }) => `${id} (${impact}) ${target.join(" ")}: ${html.slice(0, 160)}
    ${failureSummary.trim().split("\n").at(-1).trim()}`)))
}"""


def violations(page: Page, theme: str = "light", within: str | None = None) -> list[str]:
    """Rule, impact, selector and what is wrong, one line a node.

    In the dark theme the rules OF_COLOUR alone look: whoever asks for it asks for the light one too. within: a selector
    of all that is new since the page was last looked at whole; Playwright raises where nothing is of it.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(RUN, [SERIOUS, OF_COLOUR if theme == "dark" else None, within])
    return found
