// A page is shown when it stands. Streamlit builds it piece by piece, each first at a height that is not its own; what
// nobody sees yet cannot move under anybody's eyes. The page's name stands in its place meanwhile (headroom.css), and a
// page that takes long is shown as far as it is.
(() => {
  const LONG_MS = 4000 // since the first piece
  const NEVER_MS = 12000 // without one: what Streamlit says of its connection must be seen
  const STILL_MS = 120
  const PARTS = document.currentScript.dataset.parts.split(" ")
  const FIRST = 4
  const root = document.documentElement
  let begun = 0
  let height = 0
  let stillSince = 0

  const all = (testId) => [...document.querySelectorAll(`[data-testid="${testId}"]`)]
  const drawn = (chart) => chart.querySelector("svg, canvas") !== null || chart.getBoundingClientRect().top > innerHeight

  function stands(now) {
    const app = document.querySelector('[data-testid="stApp"]')
    const ready = app?.dataset.testScriptState === "notRunning" && document.fonts.status === "loaded" &&
      all("stSkeleton").length === 0 && all("stVegaLiteChart").every(drawn)
    const tall = ready ? document.querySelector('[data-testid="stMainBlockContainer"]')?.scrollHeight ?? 0 : 0
    if (!ready || tall !== height) { height = tall; stillSince = now }
    return ready && now - stillSince > STILL_MS
  }

  function look(now) {
    const pieces = document.querySelector('[data-testid="stMain"] [data-testid="stElementContainer"]') !== null
    if (pieces && !begun) begun = now
    if (pieces ? now - begun > LONG_MS || stands(now) : now > NEVER_MS) {
      root.classList.remove("arriving")
      setTimeout(() => load(PARTS), 200)
    } else requestAnimationFrame(look)
  }

  // Streamlit's client loads the code of a widget when the first one comes, and a grey bar of another height stands in
  // for it. What draws is loaded while the server answers, the rest once the page stands, before anyone turns to the next.
  const folder = () => document.querySelector('script[type="module"][src]').src.replace(/[^/]*$/, "")
  const load = (parts) => Promise.allSettled(parts.map((part) => import(folder() + part)))

  root.classList.add("arriving")
  requestAnimationFrame(look)
  addEventListener("DOMContentLoaded", () => load(PARTS.slice(0, FIRST)))
})()
