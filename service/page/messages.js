/** What the page says: the course of things, and what went wrong. */

import { Problem } from "./api.js";
import { byId } from "./dom.js";

/** @param {string} sentence for the eye and for the ear */
export function say(sentence) {
  byId("status").textContent = sentence;
}

/** @param {unknown} error the server's problem in its own words, or the browser's */
export function complain(error) {
  const title = error instanceof Problem ? error.title : "This did not work";
  const detail = error instanceof Error ? error.message : String(error);
  byId("problem-title").textContent = title;
  byId("problem-detail").textContent = detail;
  byId("problem").hidden = false;
  say("");
}

/** What was wrong is no more. */
export function appease() {
  byId("problem").hidden = true;
}
