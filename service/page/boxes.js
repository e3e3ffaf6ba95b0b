/** Boxes drawn by hand: by mouse on the picture, by finger at their corners, by keyboard with arrows. */

import { element, icon } from "./dom.js";

/** @import {Box} from "./types.js" */

const LEAST = 6; // CSS pixels: a smaller drag was a click
const CORNERS = ["nw", "ne", "sw", "se"];
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * An editor on a layer that covers the picture.
 *
 * @param {HTMLElement} layer
 * @param {(boxes: Box[]) => void} onChange told when a box is finished, moved or gone
 */
export function createBoxEditor(layer, onChange) {
  /** @type {Box[]} */
  let boxes = [];
  let [width, height] = [1, 1];

  function render(focused = -1) {
    layer.replaceChildren(...boxes.map(boxElement));
    if (focused >= 0) /** @type {HTMLElement} */ (layer.children[focused]).focus();
  }

  /**
   * @param {Box} box
   * @param {number} index
   */
  function boxElement(box, index) {
    const remove = element("button", { type: "button", class: "box-remove", "aria-label": `Remove box ${index + 1}` });
    remove.append(icon("close"));
    remove.addEventListener("click", () => drop(index));
    const made = element(
      "div",
      { class: "box", tabindex: "0", role: "group", "aria-describedby": "box-keys" },
      element("span", { class: "box-number", "aria-hidden": "true" }, String(index + 1)),
      ...CORNERS.map((corner) => element("span", { class: `box-corner box-${corner}`, "data-corner": corner })),
      remove,
    );
    place(made, box, index);
    made.addEventListener("keydown", (event) => onKey(event, index));
    return made;
  }

  /**
   * @param {HTMLElement} made
   * @param {Box} box
   * @param {number} index
   */
  function place(made, box, index) {
    const [x, y, w, h] = box;
    // Boxes count from the picture's corner, points from the centre of its first pixel.
    made.style.setProperty("left", `${(100 * x) / width}%`);
    made.style.setProperty("top", `${(100 * y) / height}%`);
    made.style.setProperty("width", `${(100 * w) / width}%`);
    made.style.setProperty("height", `${(100 * h) / height}%`);
    const said = `x ${Math.round(x)}, y ${Math.round(y)}, ${Math.round(w)} by ${Math.round(h)}`;
    made.setAttribute("aria-label", `Box ${index + 1}: ${said}`);
  }

  /** @param {number} index */
  function drop(index) {
    boxes = boxes.filter((_, other) => other !== index);
    render(Math.min(index, boxes.length - 1));
    onChange(boxes);
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} index
   */
  function onKey(event, index) {
    if (event.target !== layer.children[index]) return; // its button has keys of its own
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      drop(index);
      return;
    }
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const step = Math.max(1, Math.round((event.altKey ? 0.002 : 0.02) * Math.max(width, height)));
    const [x, y, w, h] = boxes[index];
    const [dx, dy] = [arrow[0] * step, arrow[1] * step];
    change(index, event.shiftKey ? [x, y, Math.max(1, w + dx), Math.max(1, h + dy)] : [x + dx, y + dy, w, h]);
    onChange(boxes);
  }

  /**
   * @param {number} index
   * @param {Box} box
   */
  function change(index, box) {
    boxes[index] = /** @type {Box} */ (box.map((number) => Math.round(10 * number) / 10));
    place(/** @type {HTMLElement} */ (layer.children[index]), boxes[index], index);
  }

  /** @param {PointerEvent} event @returns {[number, number]} pixels of the picture */
  function placeOf(event) {
    const bounds = layer.getBoundingClientRect();
    const x = ((event.clientX - bounds.left) / bounds.width) * width;
    const y = ((event.clientY - bounds.top) / bounds.height) * height;
    return [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  }

  layer.addEventListener("pointerdown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.button !== 0 || target.closest("button")) return;
    const held = /** @type {HTMLElement | null} */ (target.closest(".box"));
    if (!held && event.pointerType === "touch") return; // a finger on the picture scrolls the page
    event.preventDefault();
    const index = held ? [...layer.children].indexOf(held) : boxes.length;
    const start = placeOf(event);
    if (!held) {
      boxes = [...boxes, [start[0], start[1], 0, 0]];
      layer.append(boxElement(boxes[index], index));
    }
    /** @type {HTMLElement} */ (layer.children[index]).focus();
    follow(event, index, dragging(boxes[index], held ? (target.dataset.corner ?? "all") : "new", start));
  });

  /**
   * @param {PointerEvent} down
   * @param {number} index
   * @param {(place: [number, number]) => Box} boxAt
   */
  function follow(down, index, boxAt) {
    const before = boxes[index];
    layer.setPointerCapture(down.pointerId);
    const ending = new AbortController();
    const { signal } = ending;
    layer.addEventListener("pointermove", (event) => change(index, boxAt(placeOf(event))), { signal });
    for (const kind of ["pointerup", "pointercancel"]) {
      layer.addEventListener(kind, () => {
        ending.abort();
        const pixel = layer.clientWidth / width;
        const [, , w, h] = boxes[index];
        if (Math.min(w, h) * pixel < LEAST) {
          if (before[2]) change(index, before);
          else {
            boxes = boxes.filter((_, other) => other !== index);
            render();
          }
        } else if (boxes[index].join() !== before.join()) onChange(boxes);
      }, { signal });
    }
  }

  return {
    /**
     * A box in the middle, to be moved from there.
     */
    add() {
      boxes = [...boxes, [Math.round(width / 4), Math.round(height / 4), Math.round(width / 2), Math.round(height / 2)]];
      render(boxes.length - 1);
      onChange(boxes);
    },
    /**
     * These and no others, of which nobody is told.
     *
     * @param {Box[]} others
     */
    put(others) {
      boxes = [...others];
      render();
    },
    /**
     * @param {number} pictureWidth
     * @param {number} pictureHeight
     */
    fit(pictureWidth, pictureHeight) {
      if (pictureWidth === width && pictureHeight === height) return;
      [width, height] = [pictureWidth, pictureHeight];
      render();
    },
    get boxes() {
      return boxes;
    },
  };
}

/**
 * What a box becomes while a place is dragged.
 *
 * @param {Box} box
 * @param {string} handle a corner, `all` or `new`
 * @param {[number, number]} start
 * @returns {(place: [number, number]) => Box}
 */
export function dragging([x, y, w, h], handle, start) {
  if (handle === "all") return ([px, py]) => [x + px - start[0], y + py - start[1], w, h];
  const fixedX = handle === "new" ? start[0] : handle.endsWith("w") ? x + w : x;
  const fixedY = handle === "new" ? start[1] : handle.startsWith("n") ? y + h : y;
  return ([px, py]) => [Math.min(px, fixedX), Math.min(py, fixedY), Math.abs(px - fixedX), Math.abs(py - fixedY)];
}
