/** The scores at a glance, and below which of them nothing is drawn. */

import { scoreCss } from "./colours.js";
import { byId, element } from "./dom.js";

/** @import {Instance} from "./types.js" */

const BINS = 25;

/**
 * @param {(threshold: number) => void} onChange
 */
export function createScores(onChange) {
  const slider = /** @type {HTMLInputElement} */ (byId("threshold"));
  const bars = Array.from({ length: BINS }, (_, bin) => {
    const bar = element("span");
    bar.style.setProperty("background", scoreCss((bin + 0.5) / BINS));
    return bar;
  });
  byId("histogram").append(...bars);

  /** @type {Instance[]} */
  let instances = [];

  function say() {
    const scores = instances.flatMap(({ keypoints }) => keypoints.map(({ score }) => score));
    const above = scores.filter((score) => score >= Number(slider.value)).length;
    byId("threshold-value").textContent = Number(slider.value).toFixed(2);
    byId("threshold-count").textContent = scores.length ? `${above} of ${scores.length} drawn` : "";
    for (const [bin, bar] of bars.entries()) {
      bar.classList.toggle("below", (bin + 1) / BINS <= Number(slider.value));
    }
  }

  slider.addEventListener("input", () => {
    say();
    onChange(Number(slider.value));
  });

  return {
    /** @param {Instance[]} found */
    show(found) {
      instances = found;
      const counts = new Array(BINS).fill(0);
      for (const { keypoints } of instances) {
        for (const { score } of keypoints) counts[Math.min(BINS - 1, Math.floor(score * BINS))] += 1;
      }
      const most = Math.max(1, ...counts);
      for (const [bin, bar] of bars.entries()) bar.style.setProperty("height", `${(100 * counts[bin]) / most}%`);
      say();
    },
    get threshold() {
      return Number(slider.value);
    },
  };
}
