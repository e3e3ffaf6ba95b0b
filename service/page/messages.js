/** What the page says: the course of things, and what went wrong. */

import { byId, element, icon } from "./dom.js";

/**
 * @param {string} sentence for the eye and for the ear
 * @param {string} [doubt] what is to be said beside it as a warning
 */
export function say(sentence, doubt = "") {
  byId("status").replaceChildren(
    sentence,
    ...(doubt ? [" ", element("span", { class: "doubt" }, icon("wrong"), element("span", {}, doubt))] : []),
  );
}

/**
 * Say what went wrong, where it is seen.
 *
 * @param {string} title
 * @param {string} detail
 */
export function complain(title, detail) {
  const notice = byId("problem");
  byId("problem-title").textContent = title;
  byId("problem-detail").textContent = detail;
  notice.hidden = false;
  notice.scrollIntoView({ block: "nearest" }); // as smoothly as the style sheet says
}

/** What was wrong is no more. */
export function appease() {
  byId("problem").hidden = true;
}
