/** The same request as a line for a shell. */

/** @import {Picture} from "./types.js" */

/**
 * @param {Picture} picture
 * @param {string} address with boxes and model in its query
 * @param {boolean} withKey
 */
export function curlLine(picture, address, withKey) {
  const key = withKey ? ' --header "Authorization: Bearer $FOCALPOINT_KEY"' : "";
  const type = `--header ${quoted(`Content-Type: ${picture.type}`)}`;
  if (picture.origin === "example") {
    const fetched = `curl --silent ${quoted(picture.address)}`;
    return `${fetched} | curl --silent${key} ${type} --data-binary @- ${quoted(address)}`;
  }
  return `curl --silent${key} ${type} --data-binary ${quoted(`@${picture.name}`)} ${quoted(address)}`;
}

/**
 * A text as one word for a POSIX shell.
 *
 * @param {string} text
 */
export function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
