// Where the focus of the keyboard stays: Streamlit draws a popover at the end of the page, and a button anew with a run.
// Tab from a popover's button enters it, and from its ends comes back; Escape first hands in what was typed there, which
// Streamlit 1.67 drops with the field; a button that was pressed by the keyboard and drawn anew has the focus again.
// It is a script of the page: a component would be drawn with each page, and the press before it is what counts.
(() => {
  const OPENER = '[data-testid="stPopover"] button[aria-expanded="true"]'
  const BODY = '[data-testid="stPopoverBody"]'
  const STOPS = 'a[href], button:not([disabled]), input:not([disabled]), textarea:not([disabled]), select:not([disabled]), [tabindex="0"]'
  const TICK_MS = 30
  const STILL_MS = 400 // a run that is over for so long has drawn its buttons
  const MOST_MS = 10000

  const runs = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState !== "notRunning"

  // While the focus is elsewhere the popover's stops are none, and remember what they were.
  const isAStop = (stop) => stop.tabIndex >= 0 || stop.dataset.tabindex !== undefined

  function throughThePopover(event) {
    const body = document.querySelector(BODY)
    const opener = document.querySelector(OPENER)
    if (body === null || opener === null) return
    if (body.contains(document.activeElement)) { // past either end of it: where the browser goes is known afterwards
      setTimeout(() => { if (body.isConnected && !body.contains(document.activeElement)) opener.focus() })
      return
    }
    const first = [...body.querySelectorAll(STOPS)].find((stop) => isAStop(stop) && stop.checkVisibility())
    if (document.activeElement !== opener || event.shiftKey || first === undefined) return
    first.focus()
    event.preventDefault()
  }

  // The button's own key, and the place of a walk's button, whose key is another at its ends; any other place holds
  // buttons that do something else.
  function keysOf(button) {
    const own = button.closest('[data-testid="stElementContainer"][class*="st-key-"]')
    return [own, button.closest('[class*="st-key-turn_"]')].filter(Boolean)
      .map((place) => [...place.classList].find((name) => name.startsWith("st-key-")))
  }

  let watched = 0 // the press whose button is looked after; a later one takes its place

  function keep(keys) {
    const press = (watched += 1)
    let still = 0
    let all = 0
    const look = () => {
      all += TICK_MS
      still = runs() ? 0 : still + TICK_MS
      if (press !== watched || all > MOST_MS) return
      if (document.activeElement !== document.body) { if (still < STILL_MS) setTimeout(look, TICK_MS); return }
      const found = keys.map((key) => document.querySelector(`.${CSS.escape(key)} button:not([disabled])`)).find(Boolean)
      if (found && !runs()) found.focus({ preventScroll: true })
      else if (still < STILL_MS) setTimeout(look, TICK_MS)
    }
    setTimeout(look, TICK_MS)
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Tab") throughThePopover(event)
    const at = document.activeElement
    if (event.key === "Escape" && at?.matches("textarea, input") && at.closest(BODY) !== null) at.blur()
  }, true)
  addEventListener("pointerdown", () => { watched += 1 }, true)
  addEventListener("click", (event) => {
    const button = event.detail === 0 && event.target instanceof Element ? event.target.closest("button") : null
    if (button !== null && document.activeElement === button) keep(keysOf(button))
  }, true)
})()
