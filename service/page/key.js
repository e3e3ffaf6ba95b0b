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
    /** The server wants one, or does not know the one that it was sent. */
    ask() {
      byId("key-why").textContent = key
        ? "The server does not know this key. Get one from whoever runs it."
        : "This server asks for an API key. Get one from whoever runs it.";
      form.hidden = false;
      field.focus();
    },
  };
}
