/** What can be taken along: the curl line, the answer as JSON, the picture with its points. */

import { byId, download } from "./dom.js";
import { annotatedPng } from "./stage.js";

/** @import {Answer, Picture} from "./types.js" */

/**
 * @typedef {object} Taken
 * @property {Picture} picture
 * @property {Answer} answer
 * @property {[number, number][]} skeleton
 * @property {number} threshold
 */

/**
 * @param {() => Taken | null} current
 * @param {(sentence: string) => void} say
 */
export function listenForExports(current, say) {
  for (const [button, source, what] of [["copy-curl", "curl", "The curl line"], ["copy-json", "json", "The answer"]]) {
    byId(button).addEventListener("click", async () => {
      await copy(byId(source));
      say(`${what} is copied.`);
    });
  }
  byId("save-json").addEventListener("click", () => {
    const taken = current();
    if (taken) download(new Blob([asText(taken.answer)], { type: "application/json" }), `${stem(taken)}.json`);
  });
  byId("save-png").addEventListener("click", async () => {
    const taken = current();
    if (!taken) return;
    const png = await annotatedPng(taken.picture, taken.answer.instances, taken.skeleton, taken.threshold);
    download(png, `${stem(taken)}-keypoints.png`);
  });
  byId("save-picture").addEventListener("click", () => {
    const taken = current();
    if (taken) download(taken.picture.blob, taken.picture.name);
  });
}

/**
 * The answer for people: a line for each keypoint.
 *
 * @param {Answer} answer
 */
export function asText(answer) {
  const text = JSON.stringify(answer, null, 2);
  return text.replace(/[[{][^[\]{}]*[\]}]/g, (inner) => inner.replace(/\s*\n\s*/g, " ")) + "\n";
}

/** @param {Taken} taken */
function stem({ picture }) {
  return picture.name.replace(/\.[^.]*$/, "") || "picture";
}

/**
 * Into the clipboard; on an address without encryption, where browsers have none, through a selection.
 *
 * @param {HTMLElement} source
 */
async function copy(source) {
  const text = source.textContent ?? "";
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const selection = getSelection();
  selection?.selectAllChildren(source);
  document.execCommand("copy");
  selection?.removeAllRanges();
}
