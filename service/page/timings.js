/** Where the time went: the server's stages as one bar, from its `Server-Timing`. */

import { byId, element } from "./dom.js";

/** @import {Stage} from "./types.js" */

/**
 * @param {Stage[]} stages with the total among them
 * @param {number} roundTripMs
 */
export function showTimings(stages, roundTripMs) {
  const parts = stages.filter(({ name }) => name !== "total");
  const total = stages.find(({ name }) => name === "total")?.milliseconds ?? 0;
  // Stages that overlap may add up to more than the clock says; what they leave is spent between them.
  const between = total - parts.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  if (between > 0) parts.push({ name: "between", milliseconds: between });
  byId("total").textContent = `${inWords(total)} in the server`;
  byId("round-trip").textContent = `${inWords(roundTripMs)} with the way there and back`;
  byId("stages").replaceChildren(
    ...parts.map(({ name, milliseconds }, index) => {
      const bar = element("span", { class: `stage-part stage-${index}`, title: `${inWords(milliseconds)} ${name}` });
      bar.style.setProperty("flex-grow", String(milliseconds));
      return bar;
    }),
  );
  byId("stage-list").replaceChildren(
    ...parts.map(({ name, milliseconds }, index) =>
      element(
        "li",
        {},
        element("span", { class: `swatch stage-${index}`, "aria-hidden": "true" }),
        name.replaceAll("_", " "),
        element("span", { class: "number" }, milliseconds.toFixed(2)),
      ),
    ),
  );
}

/** @param {number} milliseconds */
function inWords(milliseconds) {
  return `${milliseconds.toFixed(milliseconds < 9.95 ? 1 : 0)} ms`;
}
