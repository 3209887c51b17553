// The links at the side (pages/shell/menu.py). A click turns the page without a load: Streamlit is told as if by the
// browser's Back, and answers with the page of the address, which stands as the link says for that moment alone. From
// then on all is as with Streamlit's own links: the address changes once the server has begun the page. Where there is
// no connection the link is an ordinary one. The page that stands is marked whoever changed the address.
// It stays a script of the page: Streamlit's HTML may hold none, and a component is drawn again with every run.
(() => {
  const LINKS = ".headroom-menu a"
  const replace = history.replaceState.bind(history)
  const KEPT = ["embed", "embed_options"] // Streamlit's own, of the whole visit

  function mark() {
    for (const link of document.querySelectorAll(LINKS)) {
      if (link.pathname === location.pathname) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
  }

  function turnTo(path) {
    const { state } = history
    const { href } = location
    const query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([key]) => KEPT.includes(key)))
    if (path !== location.pathname) replace(state, "", path + (query.size ? `?${query}` : ""))
    dispatchEvent(new PopStateEvent("popstate", { state }))
    replace(state, "", href)
  }

  // A run that something else asks for between a click and its answer, as a change of theme does, is of the page that
  // stood, and the turn is lost, or taken back, with it: what was asked for is asked again once that run is over.
  const TICK_MS = 100
  const OVER_MS = 300 // a run that is over for so long did not turn the page
  const UNHEARD_MS = 5000 // no run came: a busy server may be so late
  const TRIES = 3
  const runs = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState !== "notRunning"
  let watching = 0

  function turn(path) {
    clearInterval(watching)
    const from = location.pathname
    turnTo(path)
    let [ran, still, tries] = [false, 0, TRIES]
    watching = setInterval(() => {
      if (![from, path].includes(location.pathname)) return clearInterval(watching) // another page was asked for
      if (runs()) { ran = true; still = 0; return }
      still += TICK_MS
      if (still < (ran ? OVER_MS : UNHEARD_MS)) return
      if (location.pathname === path || --tries < 0 || !connected()) return clearInterval(watching)
      turnTo(path)
      ran = false
      still = 0
    }, TICK_MS)
  }

  const connected = () => document.querySelector('[data-testid="stApp"]')?.dataset.testConnectionState === "CONNECTED"
  const open = () => document.querySelector('[data-testid="stSidebar"][data-collapsed="false"]')

  addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest(LINKS) : null
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || !connected()) return
    event.preventDefault()
    turn(link.pathname)
    if (matchMedia("(max-width: 768px)").matches) open()?.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  })
  for (const name of ["pushState", "replaceState"]) {
    const own = history[name].bind(history)
    history[name] = (...asked) => { own(...asked); mark() }
  }
  addEventListener("popstate", ({ isTrusted }) => {
    if (isTrusted) clearInterval(watching) // Back: nobody wants that page any more
    mark()
  })
  addEventListener("animationstart", ({ animationName }) => { if (animationName === "headroom-menu") mark() }) // it came
})()
