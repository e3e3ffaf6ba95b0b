/** The keypoints as a table: one stop for the keyboard, arrows between its rows. */

import { scoreCss } from "./colours.js";
import { byId, element } from "./dom.js";

/** @import {Instance} from "./types.js" */

/** @typedef {{instance: number, keypoint: number}} Pointed */

/**
 * @param {(pointed: Pointed | null) => void} onPoint told which row the keyboard or the mouse is at
 */
export function createTable(onPoint) {
  const table = byId("keypoints");
  /** @type {Map<string, HTMLElement>} */
  let rows = new Map();
  let drawn = "";

  /** @param {HTMLElement | undefined} row */
  function makeStop(row) {
    for (const other of rows.values()) other.tabIndex = -1;
    if (row) row.tabIndex = 0;
  }

  table.addEventListener("keydown", (event) => {
    const all = [...rows.values()];
    const at = all.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    makeStop(all[to]);
    all[to].focus();
  });

  /**
   * @param {Pointed} pointed
   * @param {import("./types.js").Keypoint} keypoint
   */
  function rowOf(pointed, { name, x, y, score }) {
    const dot = element("span", { class: "dot", "aria-hidden": "true" });
    dot.style.setProperty("background", scoreCss(score));
    const row = element(
      "tr",
      { tabindex: "-1", "data-score": String(score), "aria-label": `${name}, score ${score.toFixed(2)}` },
      element("th", { scope: "row" }, dot, name),
      ...[x.toFixed(1), y.toFixed(1), score.toFixed(2)].map((text) => element("td", {}, text)),
    );
    row.addEventListener("focus", () => onPoint(pointed));
    row.addEventListener("blur", () => onPoint(null));
    row.addEventListener("pointerenter", () => onPoint(pointed));
    rows.set(`${pointed.instance}/${pointed.keypoint}`, row);
    return row;
  }

  table.addEventListener("pointerleave", () => onPoint(null));

  return {
    /**
     * Fill it. While the same keypoints come again, as from a camera, the keyboard keeps its place.
     *
     * @param {Instance[]} instances
     */
    fill(instances) {
      const kept = [...rows].find(([, row]) => row === document.activeElement)?.[0];
      rows = new Map();
      const bodies = instances.map((instance, index) => {
        const head = element("th", { colspan: "4", scope: "rowgroup" }, `Object ${index + 1}`);
        head.append(element("span", {}, `score ${instance.score.toFixed(2)}`));
        return element(
          "tbody",
          {},
          ...(instances.length > 1 ? [element("tr", { class: "object" }, head)] : []),
          ...instance.keypoints.map((keypoint, number) => rowOf({ instance: index, keypoint: number }, keypoint)),
        );
      });
      for (const body of table.querySelectorAll("tbody")) body.remove();
      table.append(...bodies);
      const stop = rows.get(kept ?? "") ?? [...rows.values()][0];
      makeStop(stop);
      if (kept) stop?.focus({ preventScroll: true });
      drawn = "";
    },
    /**
     * @param {number} threshold rows below it are dim
     */
    dim(threshold) {
      for (const row of rows.values()) row.classList.toggle("below", Number(row.dataset.score) < threshold);
    },
    /** @param {Pointed | null} pointed */
    mark(pointed) {
      rows.get(drawn)?.classList.remove("pointed");
      drawn = pointed ? `${pointed.instance}/${pointed.keypoint}` : "";
      rows.get(drawn)?.classList.add("pointed");
    },
  };
}
