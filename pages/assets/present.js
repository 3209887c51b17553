// Presenter mode in the browser: which screen of the page is shown, the keys, the mark and the notes.
// One instance is mounted; Streamlit calls the default export again on every run, so what must last is kept in `held`.
const held = new WeakMap()
const MAIN = '[data-testid="stMainBlockContainer"] > div > [data-testid="stVerticalBlock"], [data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"]'
const BLOCK = '[data-testid="stMainBlockContainer"]'
const BAR = ".st-key-present_bar"
const REST = ".st-key-rest"
const HEADING = 'h2, h3'
const PICTURE = '[class*="st-key-picture_"]'
const CHART = '[data-testid="stVegaLiteChart"]'
const TAKES_ARROWS = 'canvas, [role="combobox"], [role="listbox"], [role="option"], [role="menuitem"], [role="grid"]'
const MOVED_BY_ARROWS = '[role="radio"], [type="radio"], [role="slider"], [type="range"], [role="tab"]' // while the keyboard came to it
const TAKES_TEXT = 'input:not([type="radio"]):not([type="checkbox"]):not([type="range"]), textarea, select, [contenteditable="true"], [role="combobox"]'

// The blocks of the page, in runs: a heading begins a screen, and so does a second picture.
function screens() {
  const runs = [[]]
  let pictures = 0
  const blocks = [...document.querySelector(MAIN)?.children ?? []].flatMap((block) => {
    const rest = block.matches(REST) ? block : block.querySelector(`:scope > ${REST}`)
    return rest === null ? [block] : [...rest.children] // what lies below the window at a desk: pages/shell/below.py
  })
  for (const block of blocks) {
    if (block.matches(BAR) || block.querySelector(BAR) !== null) continue
    const heading = block.querySelector(HEADING) !== null && block.dataset.testid === "stElementContainer"
    const picture = block.querySelector(PICTURE) !== null || block.matches(PICTURE)
    const run = runs[runs.length - 1]
    if (run.length && (heading || (picture && pictures > 0))) { runs.push([]); pictures = 0 }
    if (picture) pictures += 1
    runs[runs.length - 1].push(block)
  }
  return runs.filter((run) => run.length)
}

function show(state) {
  const whole = state.data.lesson || state.data.walks // its own keys turn it
  const runs = whole ? [] : screens()
  if (whole) for (const block of document.querySelectorAll("[data-headroom-off]")) block.removeAttribute("data-headroom-off")
  state.count = Math.max(runs.length, 1)
  const wanted = state.screen < 0 ? state.count - 1 : Math.min(state.screen, state.count - 1)
  runs.forEach((run, number) => run.forEach((block) => {
    const off = number !== wanted
    if (off !== block.hasAttribute("data-headroom-off")) block.toggleAttribute("data-headroom-off", off)
  }))
  state.shown = wanted
  const { title, place, pages, lesson, step, steps } = state.data
  const part = lesson ? [step, steps] : [wanted + 1, state.count]
  const mark = part[1] > 1 ? `${title} · ${part[0]} of ${part[1]}` : title
  if (state.mark.textContent !== mark) state.mark.textContent = mark
  state.done.style.width = `${(100 * (place - 1 + part[0] / part[1])) / pages}%`
  const words = state.data.note || (state.data.notes ?? [])[wanted] || alts()
  if (state.panel.textContent !== words) state.panel.textContent = words
  if (state.window && !state.window.closed) {
    state.window.document.title = mark
    state.window.document.body.textContent = `${mark}\n\n${words}`
  }
}

const REST_MS = 500 // without a change, and the screen stands

// A screen that is taller than the room gets smaller type, down to the size of a desk; what is left over scrolls.
// While a page is drawn, parts of the last screen can stand beside the new: it is fitted once more when it rests,
// and then stays as it is until its content takes another height. Charts drawn anew for a new type are no such change.
function fit(state) {
  const main = document.querySelector('[data-testid="stMain"]')
  const at = `${state.data.page} ${state.shown} ${state.data.step ?? ""} ${innerWidth} ${innerHeight}`
  if (state.fitted !== at) {
    state.fitted = at
    Object.assign(state, { stage: "drawn", stands: null })
    document.documentElement.style.removeProperty("--room")
  }
  const tall = main.scrollHeight / main.clientHeight
  const room = roomType()
  if (tall > 1.01 && room > 1) {
    document.documentElement.style.setProperty("--room", Math.max(1, room / tall).toFixed(3))
    requestAnimationFrame(() => { if (!state.ended) fit(state) }) // until it fits, whether or not something else moves
  }
  if (state.stage === "stands" && !alike(state.stands, standing())) state.stage = "drawn"
  clearTimeout(state.resting)
  if (state.stage !== "stands") state.resting = setTimeout(() => rest(state), REST_MS)
}

const roomType = () => Number(getComputedStyle(document.documentElement).getPropertyValue("--room"))
const standing = () => ({ type: roomType(), height: document.querySelector(BLOCK)?.getBoundingClientRect().height ?? 0 })
const alike = (one, other) => one !== null && one.type === other.type && Math.abs(one.height - other.height) <= 0.01 * other.height

// The largest type is tried once. Where what came meanwhile leaves room again, it is tried until it ends as before.
function rest(state) {
  const now = standing()
  const main = document.querySelector('[data-testid="stMain"]')
  const spare = document.documentElement.style.getPropertyValue("--room") !== "" && now.height < 0.9 * main.clientHeight
  if (state.stage === "fitted" && (!spare || alike(state.stands, now))) {
    Object.assign(state, { stage: "stands", stands: now })
    return
  }
  Object.assign(state, { stage: "fitted", stands: state.stage === "fitted" ? now : null })
  document.documentElement.style.removeProperty("--room")
  fit(state)
}

const SPOKEN = '[aria-roledescription="picture in words"]' // in a picture whose rows alone change: core/figures/layouts.py

// Where a page has no notes of its own: what its pictures say to who cannot see them.
function alts() {
  const shown = [...document.querySelectorAll(`${CHART}[aria-label]`)]
    .filter((picture) => picture.checkVisibility()).map((picture) => (picture.querySelector(SPOKEN) ?? picture).getAttribute("aria-label"))
  return shown.length ? shown.join("\n\n") : "No notes for this screen."
}

function turn(state, by) {
  if (state.data.lesson || state.data.walks) {
    window.dispatchEvent(new CustomEvent("headroom-turn", { detail: by })) // keys.js turns a walk
    return
  }
  const wanted = state.shown + by
  if (wanted < 0 || wanted >= state.count) state.go(by > 0 ? "next" : "back")
  else turnTo(state, wanted)
}

function turnTo(state, wanted) {
  state.screen = wanted
  show(state)
  fit(state)
  document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0)
  state.said.push(wanted)
  state.keep(`${state.page}:${wanted}:${(state.turns += 1)}`) // the same screen again is another turn
}

// The server says which screen the address has: what was told it comes back, later and maybe not all of it. Anything else
// is of the browser's history.
function hear(state, screen) {
  if (state.heard === screen) return
  state.heard = screen
  const told = state.said.lastIndexOf(screen)
  if (told >= 0) { state.said.splice(0, told + 1); return }
  state.said = []
  state.screen = screen
}

// A link to a heading of the page leads to a screen that may not be shown: turn to it.
function follow(state, event) {
  const link = event.composedPath().find((node) => node instanceof Element && node.matches('[data-testid="stMain"] a[href^="#"]'))
  const target = link && document.getElementById(decodeURIComponent(link.getAttribute("href").slice(1)))
  const wanted = target ? screens().findIndex((run) => run.some((block) => block.contains(target))) : -1
  if (wanted < 0) return
  event.preventDefault()
  turnTo(state, wanted)
}

function toggleNotes(state) {
  state.panel.hidden = !state.panel.hidden
  state.root.querySelector("#notes").setAttribute("aria-expanded", String(!state.panel.hidden))
}

function openWindow(state) {
  state.window = window.open("", "headroom-notes", "width=640,height=480")
  if (!state.window) { if (state.panel.hidden) toggleNotes(state); return }
  state.window.document.body.style.cssText = "font: 22px/1.5 sans-serif; margin: 1.5rem; white-space: pre-line"
  state.panel.hidden = true
  show(state)
}

const ARROWS = { ArrowRight: 1, ArrowLeft: -1 }

function isHers(state, at) { // an arrow that a control needs
  if (!(at instanceof Element)) return false
  if (at.closest(TAKES_ARROWS) !== null) return true
  return at.closest(MOVED_BY_ARROWS) !== null && !state.byPointer
}

// Before a choice that was clicked takes the arrow for itself: who presents by the mouse turns the screen by it.
function early(state, event) {
  if (event.key === "Tab") state.byPointer = false
  const at = event.composedPath()[0]
  const clicked = at instanceof Element && at.closest(MOVED_BY_ARROWS) !== null && !isHers(state, at)
  if (!clicked || !(event.key in ARROWS) || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
  if (state.data.lesson || state.data.walks) return // keys.js
  turn(state, ARROWS[event.key])
  event.preventDefault()
  event.stopImmediatePropagation()
}

function key(state, event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
  const at = event.composedPath()[0]
  const inText = at instanceof Element && at.closest(TAKES_TEXT) !== null
  if (inText) return
  if (state.data.walks && event.key in ARROWS) { // keys.js has found no further step of it
    state.go(ARROWS[event.key] > 0 ? "next" : "back")
    return
  }
  const turns = state.data.lesson ? {} : { PageDown: 1, PageUp: -1 } // keys.js turns a walk, in a room as on a desk
  if (!state.data.lesson && !isHers(state, at)) Object.assign(turns, ARROWS)
  const does = { n: () => toggleNotes(state), w: () => openWindow(state), p: () => state.go("leave") }
  if (event.key in turns) turn(state, turns[event.key])
  else if (event.key.toLowerCase() in does) does[event.key.toLowerCase()]()
  else if (event.key === "Escape" && !document.querySelector('[role="dialog"], [data-baseweb="popover"]')) state.go("leave")
  else return
  event.preventDefault()
}

// What a run finds on the same root: made once, so that listeners added again are the same and count once.
function stateOf(root) {
  const state = { root, screen: 0, shown: 0, count: 1, page: null, window: null, waiting: false, stage: "drawn", stands: null,
    said: [], heard: null, turns: 0, byPointer: false }
  for (const name of ["mark", "done", "panel"]) state[name] = root.querySelector(`#${name}`)
  state.listen = (event) => key(state, event)
  state.early = (event) => early(state, event)
  state.pointed = () => { state.byPointer = true }
  state.leave = () => state.go("leave")
  state.click = (event) => { if (!state.data.lesson) follow(state, event) }
  const again = () => {
    if (state.waiting) return
    state.waiting = true
    requestAnimationFrame(() => { state.waiting = false; show(state); fit(state) })
  }
  state.watcher = new MutationObserver(again)
  state.sizes = new ResizeObserver(again) // a picture grows when it is drawn, and text when its font comes
  return state
}

function begin(state) {
  state.ended = false
  document.addEventListener("keydown", state.listen)
  document.addEventListener("keydown", state.early, true)
  document.addEventListener("pointerdown", state.pointed, true)
  document.addEventListener("headroom-leave", state.leave) // keys.js, after P
  document.addEventListener("click", state.click, true)
  const main = document.querySelector('[data-testid="stMain"]') ?? document.body
  state.watcher.observe(main, { childList: true, subtree: true })
  const block = main.querySelector(BLOCK)
  if (block !== null) state.sizes.observe(block)
}

function end(state) {
  state.ended = true
  document.removeEventListener("keydown", state.listen)
  document.removeEventListener("keydown", state.early, true)
  document.removeEventListener("pointerdown", state.pointed, true)
  document.removeEventListener("headroom-leave", state.leave)
  document.removeEventListener("click", state.click, true)
  state.watcher.disconnect()
  state.sizes.disconnect()
  clearTimeout(state.resting)
  document.documentElement.style.removeProperty("--room")
  for (const block of document.querySelectorAll("[data-headroom-off]")) block.removeAttribute("data-headroom-off")
  if (state.window && !state.window.closed) state.window.close()
}

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component
  const state = held.get(parentElement) ?? stateOf(parentElement)
  held.set(parentElement, state)
  const run = (state.run = {})
  state.data = data
  state.keep = (screen) => setStateValue("screen", screen)
  state.go = (where) => setTriggerValue("go", where)
  if (state.page !== data.page) Object.assign(state, { page: data.page, screen: data.screen, heard: data.screen, said: [] })
  else hear(state, data.screen)
  parentElement.querySelector("#back").onclick = () => turn(state, -1)
  parentElement.querySelector("#next").onclick = () => turn(state, 1)
  parentElement.querySelector("#notes").onclick = () => toggleNotes(state)
  parentElement.querySelector("#window").onclick = () => openWindow(state)
  parentElement.querySelector("#leave").onclick = () => state.go("leave")
  begin(state)
  show(state)
  fit(state)
  return () => { if (state.run === run) end(state) } // a later run on the same root goes on
}
