/** How pictures come in: dropped, chosen, pasted, or one of the examples. */

import { byId } from "./dom.js";
import { readExample, readFile } from "./picture.js";

/** @import {Picture} from "./types.js" */

/**
 * Listen for pictures.
 *
 * @param {(picture: Promise<Picture>, example: string) => void} onPicture told of each, and whose example it is
 */
export function listenForPictures(onPicture) {
  const input = /** @type {HTMLInputElement} */ (byId("file"));
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => input.click());
  }
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) onPicture(readFile(file, "file"), "");
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) onPicture(readFile(file, "clipboard"), "");
  });
  for (const button of document.querySelectorAll("[data-example]")) {
    const { example, address } = /** @type {HTMLElement} */ (button).dataset;
    button.addEventListener("click", () =>
      onPicture(readExample(new URL(address ?? "", document.baseURI).href), example ?? ""),
    );
  }
  listenForDrops((file) => onPicture(readFile(file, "file"), ""));
}

/**
 * The whole window takes drops, so that a near miss does not open the picture in place of the page.
 *
 * @param {(file: File) => void} onFile
 */
function listenForDrops(onFile) {
  const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  const mark = (/** @type {boolean} */ over) => document.body.classList.toggle("dragging", over);
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    mark(false);
    const [file] = event.dataTransfer?.files ?? [];
    if (file) onFile(file);
  });
}
