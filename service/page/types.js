/**
 * What the modules hand to each other. Nothing runs here.
 *
 * @typedef {[number, number, number, number]} Box x, y, width, height in pixels of the picture
 *
 * @typedef {object} Keypoint
 * @property {string} name
 * @property {number} x pixels of the picture; the centre of the first one is 0
 * @property {number} y
 * @property {number} score 0 to 1
 *
 * @typedef {object} Instance
 * @property {Box} box
 * @property {number} score
 * @property {Keypoint[]} keypoints
 *
 * @typedef {object} Answer of POST /v1/keypoints
 * @property {{name: string, version: string}} model
 * @property {{width: number, height: number}} image
 * @property {Instance[]} instances
 *
 * @typedef {object} Model of GET /v1/models, as far as it is used here
 * @property {string} name
 * @property {string} version
 * @property {string} description
 * @property {[number, number][]} skeleton indices of keypoints
 * @property {{name: string, summary: string, research_only: boolean}} licence
 *
 * @typedef {object} Picture
 * @property {Blob} blob what is sent
 * @property {string} name of the file
 * @property {string} type its media type
 * @property {ImageBitmap | null} bitmap as displayed, after EXIF; null where the browser cannot show it
 * @property {"file" | "clipboard" | "camera" | "example"} origin
 * @property {string} address of an example, else empty
 *
 * @typedef {object} Stage one part of the server's time
 * @property {string} name
 * @property {number} milliseconds
 *
 * @typedef {object} Asked an answer and what came with it
 * @property {Answer} answer
 * @property {Stage[]} stages the last is the total
 * @property {number} roundTripMs as this browser saw it
 */
export {};
