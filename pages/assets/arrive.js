// A page is shown when it stands. Streamlit builds it piece by piece, each first at a height that is not its own; what
// nobody sees yet cannot move under anybody's eyes. The page's name stands in its place meanwhile (headroom.css), and a
// page that takes long (the Hub is silent) is shown as far as it is. Time is what the browser draws frames in: one that
// is too busy to draw is not late, and what it has not drawn yet would still move. What lies below the window is not
// waited for: its pictures and tables may still be drawn, which moves nothing above them.
// It stays a script of the page: a component is itself a piece that comes with the others, too late to hide the first.
(() => {
  const FRAME_MS = 100 // as much of the time between two frames counts
  const LONG_MS = 4000 // since the first piece: then a page that is quiet is waited for no longer
  const QUIET_MS = 1500
  const LONGEST_MS = 9000 // since the first piece, whatever still comes
  const NEVER_MS = 12000 // without one: what Streamlit says of its connection must be seen
  const STILL_MS = 150
  const PARTS = document.currentScript.dataset.parts.split(" ")
  const FIRST = 5 // with components: pages/shell/theme.py is one, on every page
  const root = document.documentElement
  let time = 0
  let before = 0
  let begun = 0
  let height = 0
  let changed = 0
  let touched = new Set() // what changed since the last frame

  const all = (testId) => [...document.querySelectorAll(`[data-testid="${testId}"]`)]
  const below = (element) => element.getBoundingClientRect().top > innerHeight
  const drawn = (chart) => chart.querySelector("svg, canvas") !== null || below(chart)

  // Inside a chart, and in the tools that lie over one, nothing moves but by a height, which is looked at: Vega draws
  // again when it learns its width.
  const APART = '[data-testid="stVegaLiteChart"], [data-testid^="stElementToolbar"]'

  function matters(node) {
    if (document.head.contains(node)) return false // code that is on its way
    const element = node.nodeType === 1 ? node : node.parentElement
    if (element?.closest(APART)) return false
    const piece = element?.closest('[data-testid="stElementContainer"]')
    return !piece || !below(piece)
  }

  // Where what is seen ends: at the first piece below the window, which all that grows above it moves.
  const end = () => all("stElementContainer").find(below)?.getBoundingClientRect().top ??
    document.querySelector('[data-testid="stMainBlockContainer"]')?.scrollHeight ?? 0

  function stands() {
    const app = document.querySelector('[data-testid="stApp"]')
    const runs = app?.dataset.testScriptState !== "notRunning"
    if (touched.size > 0 && (runs || [...touched].some(matters))) changed = time
    touched = new Set()
    if (runs) return false // before a height is asked for, which costs a layout
    const tall = end()
    if (tall !== height) { height = tall; changed = time }
    return time - changed > STILL_MS && document.fonts.status === "loaded" &&
      all("stSkeleton").every(below) && all("stVegaLiteChart").every(drawn)
  }

  function waitedEnough() {
    const waited = time - begun
    return waited > LONGEST_MS || (waited > LONG_MS && time - changed > QUIET_MS)
  }

  function look(now) {
    time += Math.min(now - before, FRAME_MS)
    before = now
    if (!begun && document.querySelector('[data-testid="stMain"] [data-testid="stElementContainer"]') !== null) begun = time
    if (begun ? stands() || waitedEnough() : time > NEVER_MS) {
      changes.disconnect()
      root.classList.remove("arriving")
      setTimeout(() => load(PARTS), 200)
    } else requestAnimationFrame(look)
  }

  // Streamlit's client loads the code of a widget when the first one comes, and a grey bar of another height stands in
  // for it. What draws is loaded while the server answers, the rest once the page stands, before anyone turns to the next.
  const folder = () => document.querySelector('script[type="module"][src]').src.replace(/[^/]*$/, "")
  const load = (parts) => Promise.allSettled(parts.map((part) => import(folder() + part)))

  const changes = new MutationObserver((records) => { for (const { target } of records) touched.add(target) })
  changes.observe(root, { childList: true, characterData: true, subtree: true })
  root.classList.add("arriving")
  requestAnimationFrame(look)
  addEventListener("DOMContentLoaded", () => load(PARTS.slice(0, FIRST)))
})()
