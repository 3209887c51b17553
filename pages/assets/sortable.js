// A table that sorts (pages/shell/sortable.py). Streamlit calls the default export again with every run: the order that
// somebody chose stays while the columns do.
const held = new WeakMap()
const NEXT = { none: "ascending", ascending: "descending", descending: "none" }
const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare

function writer({ digits }) {
  const numbers = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits ?? 0, maximumFractionDigits: digits ?? 20 })
  return (cell) => cell === null ? "–" : typeof cell === "number" ? numbers.format(cell) : cell
}

function made(tag, text, className) {
  const element = document.createElement(tag)
  if (text !== undefined) element.textContent = text
  if (className) element.className = className
  return element
}

// What is empty stays last, whichever way the rest is turned.
function ordered({ columns, rows }, { at, way }) {
  if (way === "none") return rows
  const by = columns.findIndex(({ name }) => name === columns[at].by)
  const from = by < 0 ? at : by
  const turned = way === "ascending" ? 1 : -1
  const compared = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : words(String(a), String(b))
  return rows.toSorted(({ [from]: a }, { [from]: b }) =>
    a === null || b === null ? (a === null) - (b === null) : turned * compared(a, b))
}

function drawnRows(data, order, numbers) {
  const body = document.createElement("tbody")
  const writers = data.columns.map(writer)
  for (const row of ordered(data, order)) {
    const line = made("tr")
    row.forEach((cell, at) => {
      const box = made(at ? "td" : "th", writers[at](cell), numbers[at] ? "number" : "")
      if (!at) box.scope = "row"
      line.append(box)
    })
    body.append(line)
  }
  return body
}

function drawnHead(data, order, numbers, turn) {
  const line = made("tr")
  data.columns.forEach(({ name, help }, at) => {
    const box = made("th", undefined, numbers[at] ? "number" : "")
    const button = made("button", name)
    button.type = "button"
    if (help) button.title = help
    button.onclick = () => turn(at)
    box.scope = "col"
    box.ariaSort = at === order.at ? order.way : "none"
    box.append(button)
    line.append(box)
  })
  const head = document.createElement("thead")
  head.append(line)
  return head
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".headroom-sortable")
  const names = data.columns.map(({ name }) => name).join("\n")
  const before = held.get(box)
  const order = before?.names === names ? before.order : { at: 0, way: "none" }
  held.set(box, { names, order })
  const numbers = data.columns.map((_, at) => data.rows.every(({ [at]: cell }) => typeof cell !== "string"))
  const table = made("table")
  if (data.columns.every(({ width }) => width)) {
    table.className = "fixed"
    table.style.setProperty("--columns", data.columns.map(({ width }) => `minmax(${width}px, ${width}fr)`).join(" "))
    table.style.minWidth = `${data.columns.reduce((sum, { width }) => sum + width, 0)}px`
  }
  const turn = (at) => {
    Object.assign(order, { at, way: NEXT[at === order.at ? order.way : "none"] })
    table.querySelectorAll("thead th").forEach((head, other) => { head.ariaSort = other === at ? order.way : "none" })
    table.tBodies[0].replaceWith(drawnRows(data, order, numbers))
    box.scrollTop = 0
  }
  table.append(drawnHead(data, order, numbers, turn), drawnRows(data, order, numbers))
  table.onclick = ({ target }) => {
    if (getSelection().isCollapsed) target.closest("tbody tr")?.classList.toggle("whole")
  }
  box.onkeydown = ({ key, target }) => {  // as a click, for whoever has none: rows are too many to stop at each
    if (key === "Enter" && target === box) box.classList.toggle("whole-rows")
  }
  box.ariaLabel = data.alt
  box.ariaDescription = "Enter shows whole what the columns cut off"
  box.style.maxHeight = data.height === null ? "" : `${data.height}px`
  box.replaceChildren(table)
}
