/** The API key, asked for where the server wants one. It is kept until the tab is closed and no longer. */

import { byId } from "./dom.js";

const KEPT = "focalpoint-key";

/**
 * @param {() => void} onKey told when one was given
 */
export function createKey(onKey) {
  const form = byId("key-form");
  const field = /** @type {HTMLInputElement} */ (byId("key"));
  let key = sessionStorage.getItem(KEPT) ?? "";

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    key = field.value.trim();
    sessionStorage.setItem(KEPT, key);
    field.value = "";
    form.hidden = true;
    onKey();
  });

  return {
    get value() {
      return key;
    },
    /**
     * @param {string} why what the server said
     */
    ask(why) {
      byId("key-why").textContent = why;
      form.hidden = false;
      field.focus();
    },
  };
}
