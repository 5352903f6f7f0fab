// Panes of one group show the same place at the same magnification.
// A view is {zoom, x, y}: the picture is drawn `zoom` times as large and moved by x and y, which
// are shares of the pane, so that panes of different sizes stay together.
"use strict";

const LARGEST = 32;

function limited(view) {
  const zoom = Math.min(Math.max(view.zoom, 1), LARGEST);
  const within = (v) => Math.min(0, Math.max(1 - zoom, v));
  return { zoom, x: within(view.x), y: within(view.y) };
}

// Magnify about a point of the pane, which keeps its place.
function magnified(view, factor, x, y) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), LARGEST);
  const share = zoom / view.zoom;
  return limited({ zoom, x: x - (x - view.x) * share, y: y - (y - view.y) * share });
}

function moved(view, dx, dy) {
  return limited({ zoom: view.zoom, x: view.x + dx, y: view.y + dy });
}

function css(view) {
  return `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
}

function place(pane, event) {
  const box = pane.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

const KEYS = {
  "+": (v) => magnified(v, 1.5, 0.5, 0.5),
  "=": (v) => magnified(v, 1.5, 0.5, 0.5),
  "-": (v) => magnified(v, 1 / 1.5, 0.5, 0.5),
  "0": () => ({ zoom: 1, x: 0, y: 0 }),
  ArrowLeft: (v) => moved(v, 0.1, 0),
  ArrowRight: (v) => moved(v, -0.1, 0),
  ArrowUp: (v) => moved(v, 0, 0.1),
  ArrowDown: (v) => moved(v, 0, -0.1),
};

function mount(group) {
  const panes = Array.from(group.querySelectorAll(".pane"));
  let view = { zoom: 1, x: 0, y: 0 };
  let last = null;
  const show = (next) => {
    view = next;
    for (const pane of panes) {
      pane.querySelector("img").style.transform = css(view);
      pane.style.touchAction = view.zoom > 1 ? "none" : "pan-x pan-y"; // a finger may pass by
    }
  };
  for (const pane of panes) {
    pane.addEventListener("wheel", (event) => {
      // The page keeps what is for it: sideways, the browser's own zoom, and down when all is seen.
      if (event.ctrlKey || event.deltaY === 0 || (event.deltaY > 0 && view.zoom === 1)) return;
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 0 ? 1 : 33);
      const step = Math.min(Math.max(pixels, -100), 100); // of a wheel about 100, of a pad a few
      show(magnified(view, 1.25 ** (-step / 100), ...place(pane, event)));
    }, { passive: false });
    pane.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      last = place(pane, event);
      pane.setPointerCapture(event.pointerId);
      pane.classList.add("moving");
    });
    pane.addEventListener("pointermove", (event) => {
      if (last === null) return;
      const now = place(pane, event);
      show(moved(view, now[0] - last[0], now[1] - last[1]));
      last = now;
    });
    for (const end of ["pointerup", "pointercancel"]) {
      pane.addEventListener(end, () => { last = null; pane.classList.remove("moving"); });
    }
    pane.addEventListener("dblclick", () => show(KEYS["0"]()));
    pane.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      show(KEYS[event.key](view));
    });
  }
  show(view);
}

document.querySelectorAll(".group").forEach(mount);
