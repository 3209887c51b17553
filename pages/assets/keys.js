// The arrow keys turn a walk: Left and Right (and Page Up and Down, for a clicker) press its Back and Next.
// Streamlit's own shortcut hears a key only if the button stands at that moment, and a press that falls into a redraw is
// gone. Here a press is a debt: it is paid when the page stands, checked by the headings, and paid again if it was lost.
(() => {
  const TURNS = { ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1 }
  const TYPED_INTO = 'input:not([type="radio"]):not([type="checkbox"]):not([type="range"]), textarea, select, ' +
    '[contenteditable="true"], [role="combobox"], [role="listbox"], [role="option"], [role="menuitem"], [role="grid"], canvas'
  const MOVED_BY_ARROWS = '[role="radio"], [type="radio"], [role="tab"]'
  const SLID = '[role="slider"], [type="range"]'
  const TICK_MS = 30
  const RUN_MS = 1500 // a page that draws for longer is left without waiting for its end
  const LAND_MS = 1500 // a turn whose run is over for so long and that changed nothing was lost
  const UNHEARD_MS = 8000 // one that no run followed: a busy server may be that late, and a second press would count twice
  const DRAW_MS = 2000 // a run is over before the last of it is drawn: so long may a button be missing
  const TRIES = 4
  const STAND_MS = 15000 // how long a key waits for a page that is still loading
  const MOST = 5 // of a key that is held down

  let owed = 0
  let sent = null // the turn on its way: where it began, its direction, when, how often, and whether a run followed
  let waitsSince = 0 // when the wait for the page began
  let unfinished = 0 // when the page was last seen without its heading, or running
  let ticking = false
  let byPointer = false
  let handing = false

  const button = (by) => document.querySelector(`.st-key-turn_${by > 0 ? "next" : "back"} button:not([disabled])`)
  const walks = () => document.querySelector('[class*="st-key-turn_"]') !== null
  const stands = () => document.querySelector('[data-testid="stMain"] h1') !== null
  const runs = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState !== "notRunning"
  const presenting = () => new URLSearchParams(location.search).has("present")
  const place = () => location.pathname +
    [...document.querySelectorAll('[data-testid="stMain"] :is(h1, h2, h3)')].map((heading) => heading.textContent).join("\n")

  function forget() { owed = 0; sent = null }

  function landed(now) {
    if (sent === null) return true
    if (place() !== sent.from) { owed -= sent.by; sent = null; waitsSince = now; return true }
    if (runs()) { sent.ran = true; sent.still = now; return false }
    if (now - sent.still < (sent.ran ? LAND_MS : UNHEARD_MS)) return false
    if (sent.tries >= TRIES) { forget(); return false }
    press(now, sent.by, sent.tries + 1)
    return false
  }

  // What was pressed while a page loaded that is no walk, in a room: the presenter's bar turns its screens.
  function handOver(by) {
    handing = true
    document.dispatchEvent(new KeyboardEvent("keydown", { key: by > 0 ? "ArrowRight" : "ArrowLeft", cancelable: true }))
    handing = false
    owed -= by
  }

  function press(now, by, tries) {
    const found = stands() ? button(by) : null
    if (found === null) {
      if (now - unfinished < DRAW_MS) return
      if (presenting() && document.querySelector(".st-key-present_bar") !== null) handOver(by)
      else forget()
      return
    }
    sent = { from: place(), by, tries, still: now, ran: false }
    found.click()
  }

  function pay() {
    ticking = false
    const now = performance.now()
    if (runs() || !stands()) unfinished = now
    if (landed(now) && owed !== 0) {
      const wait = walks() ? RUN_MS : STAND_MS
      if (!runs() || now - waitsSince > wait) press(now, Math.sign(owed), 1)
      if (sent === null && now - waitsSince > STAND_MS) forget()
    }
    if (owed !== 0) tick()
  }

  function tick() {
    if (!ticking) { ticking = true; setTimeout(pay, TICK_MS) }
  }

  function owe(by) {
    if (owed === 0) waitsSince = unfinished = performance.now()
    owed = Math.max(-MOST, Math.min(MOST, owed + by))
    tick()
  }

  // Arrows that a control needs stay its own: what is typed into always, a choice or a slider while the keyboard came to it.
  function taken(event) {
    const at = event.composedPath()[0]
    if (!(at instanceof Element)) return false
    if (at.closest(TYPED_INTO)) return true
    if (event.key.startsWith("Page")) return false
    if (at.closest(SLID)) return !(byPointer && presenting())
    return at.closest(MOVED_BY_ARROWS) !== null && !byPointer
  }

  addEventListener("pointerdown", () => { byPointer = true }, true)
  addEventListener("keydown", (event) => {
    if (event.key === "Tab") byPointer = false
    const by = TURNS[event.key]
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || taken(event)) return
    if (handing || (event.key.startsWith("Page") && !presenting())) return
    if (!walks() && stands() && owed === 0) return // not a walk: the key is somebody else's
    event.preventDefault()
    event.stopImmediatePropagation()
    owe(by)
  }, true)
  addEventListener("headroom-turn", (event) => owe(event.detail)) // the presenter's own buttons
})()
