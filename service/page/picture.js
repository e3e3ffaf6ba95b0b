/** Pictures from wherever they come. */

/** @import {Picture} from "./types.js" */

/**
 * A picture to be shown and sent. What the browser cannot show is sent all the same: the server says what it makes of it.
 *
 * @param {Blob} blob
 * @param {string} name
 * @param {Picture["origin"]} origin
 * @param {string} [address]
 * @returns {Promise<Picture>}
 */
export async function readPicture(blob, name, origin, address = "") {
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    // No picture, or none that this browser reads: `bitmap` says so.
  }
  const type = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
  return { blob, name, type, bitmap, origin, address };
}

/**
 * @param {File} file
 * @param {"file" | "clipboard"} origin
 */
export function readFile(file, origin) {
  return readPicture(file, file.name, origin);
}

/**
 * One of the pictures that the page brings.
 *
 * @param {string} address
 */
export async function readExample(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`The example is not there (status ${response.status}).`);
  return readPicture(await response.blob(), new URL(address).pathname.split("/").pop() ?? "", "example", address);
}
