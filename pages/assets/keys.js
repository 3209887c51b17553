// The arrow keys turn a walk: Left and Right (and Page Up and Down, for a clicker) press its Back and Next.
// Streamlit's own shortcut hears a key only if the button stands at that moment, and a press that falls into a redraw is
// gone. Here a press is a debt: it is paid when the page stands, checked by its title, and paid again if it was lost.
// P is one too, of the way into a room or out of it, checked by the address.
// It stays a script of the page: a component goes and comes with each page, and would miss the press made meanwhile.
// Time is counted in ticks that the browser is free for: a busy one is not late, and must not be asked twice.
(() => {
  const TURNS = { ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1 }
  const TYPED_INTO = 'input:not([type="radio"]):not([type="checkbox"]):not([type="range"]), textarea, select, ' +
    '[contenteditable="true"], [role="combobox"], [role="listbox"], [role="option"], [role="menuitem"], [role="grid"], canvas'
  const MOVED_BY_ARROWS = '[role="radio"], [type="radio"], [role="tab"]'
  const SLID = '[role="slider"], [type="range"]'
  const TICK_MS = 30
  const MOST_OF_A_TICK_MS = 100
  const RUN_MS = 1500 // a page that draws for longer is left without waiting for its end
  const LAND_MS = 1500 // a turn whose run is over for so long and that changed nothing was lost
  const UNHEARD_MS = 8000 // one that no run followed: a busy server may be that late, and a second press would count twice
  const DRAW_MS = 2000 // a run is over before the last of it is drawn: so long may a button be missing
  const TRIES = 4
  const STAND_MS = 60000 // how long a key waits for a page that is still loading
  const MOST = 5 // of a key that is held down

  let now = 0
  let clock = 0 // the wall's, at the last tick
  let owed = 0
  let sent = null // the turn on its way: where it began, its direction, when, how often, and whether a run followed
  let waitsSince = 0 // when the wait for the page began
  let unfinished = 0 // when the page was last seen without its heading, or running
  let walked = null // the path on which a walk was last seen: its buttons are away for a moment of every turn
  let wants = null // after P: whether a room is wanted
  let wantsSince = 0
  let asked = 0 // when that was last asked for
  let ticking = false
  let byPointer = false
  let handing = false

  const button = (by) => document.querySelector(`.st-key-turn_${by > 0 ? "next" : "back"} button:not([disabled])`)
  const walks = () => {
    if (document.querySelector('[class*="st-key-turn_"]') !== null) walked = location.pathname
    return walked === location.pathname
  }
  const arrives = () => document.documentElement.classList.contains("arriving") // arrive.js: nobody has seen it yet
  const stands = () => !arrives() && document.querySelector('[data-testid="stMain"] h1') !== null
  const runs = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState !== "notRunning"
  const presenting = () => new URLSearchParams(location.search).has("present")
  const place = () => { // the quiz keeps its title and turns its question
    const titles = location.pathname.endsWith("/quiz") ? "h1, h3" : "h1"
    const shown = document.querySelectorAll(`[data-testid="stMain"] :is(${titles})`)
    return location.pathname + [...shown].map((title) => title.textContent).join("\n")
  }

  const turns = () => owed !== 0 || sent !== null // a turn on its way counts, though a press back has paid for it

  function forget() { owed = 0; sent = null }

  function landed() {
    if (sent === null) return true
    if (place() !== sent.from) { owed -= sent.by; sent = null; waitsSince = now; return true }
    if (runs()) { sent.ran = true; sent.still = now; return false }
    if (now - sent.still < (sent.ran ? LAND_MS : UNHEARD_MS)) return false
    if (sent.tries >= TRIES) { forget(); return false }
    press(sent.by, sent.tries + 1)
    return false
  }

  // What was pressed while a page loaded that is no walk, in a room: the presenter's bar turns its screens.
  function handOver(by) {
    handing = true
    document.dispatchEvent(new KeyboardEvent("keydown", { key: by > 0 ? "ArrowRight" : "ArrowLeft", cancelable: true }))
    handing = false
    owed -= by
  }

  function press(by, tries) {
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

  function turn() {
    if (runs() || !stands()) unfinished = now
    if (arrives()) waitsSince = now
    if (!landed() || owed === 0) return
    const wait = walks() ? RUN_MS : STAND_MS
    if (!runs() || now - waitsSince > wait) press(Math.sign(owed), 1)
    if (sent === null && now - waitsSince > STAND_MS) forget()
  }

  // Asked for again it does no more than once: nothing is counted here.
  function enterOrLeave() {
    if (arrives()) wantsSince = now
    if (presenting() === wants || now - wantsSince > STAND_MS) { wants = null; return }
    if (!stands() || runs() || now - asked < LAND_MS) return
    asked = now
    if (wants) document.querySelector(".st-key-present_enter button:not([disabled])")?.click()
    else document.dispatchEvent(new CustomEvent("headroom-leave"))
  }

  function pay() {
    ticking = false
    const wall = performance.now()
    now += Math.min(wall - clock, MOST_OF_A_TICK_MS)
    clock = wall
    if (turns()) turn()
    if (wants !== null) enterOrLeave()
    if (turns() || wants !== null) tick()
  }

  function tick() {
    if (ticking) return
    ticking = true
    setTimeout(pay, TICK_MS)
  }

  function owe(by) {
    if (owed === 0) waitsSince = unfinished = now
    owed = Math.max(-MOST, Math.min(MOST, owed + by))
    tick()
  }

  function pressedP() {
    wants = !(wants ?? presenting())
    wantsSince = now
    asked = now - LAND_MS
    tick()
  }

  // Arrows that a control needs stay its own: what is typed into always, a choice or a slider while the keyboard came to it.
  function taken(event) {
    const at = event.composedPath()[0]
    if (!(at instanceof Element)) return false
    if (at.closest(TYPED_INTO)) return true
    if (!event.key.startsWith("Arrow")) return false
    if (at.closest(SLID)) return !(byPointer && presenting())
    return at.closest(MOVED_BY_ARROWS) !== null && !byPointer
  }

  addEventListener("pointerdown", () => { byPointer = true }, true)
  addEventListener("keydown", (event) => {
    if (event.key === "Tab") byPointer = false
    const by = TURNS[event.key]
    const isP = event.key.toLowerCase() === "p"
    if ((by === undefined && !isP) || event.ctrlKey || event.metaKey || event.altKey || taken(event)) return
    if (isP) {
      event.preventDefault()
      event.stopImmediatePropagation()
      pressedP()
      return
    }
    if (event.shiftKey || handing || (event.key.startsWith("Page") && !presenting())) return
    if (!walks() && stands() && owed === 0) return // not a walk: the key is somebody else's
    event.preventDefault()
    event.stopImmediatePropagation()
    owe(by)
  }, true)
  addEventListener("headroom-turn", (event) => owe(event.detail)) // the presenter's own buttons
})()
