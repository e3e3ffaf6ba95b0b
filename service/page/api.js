/** The server, as any client asks it: models, keypoints, problems, and waiting when it says so. */

/** @import {Answer, Asked, Box, Model, Picture, Stage} from "./types.js" */

const MOST_WAITS = 5;

/** What the server says is wrong (RFC 9457), or that it says nothing. */
export class Problem extends Error {
  /**
   * @param {number} status 0 where there was no answer
   * @param {string} title
   * @param {string} detail
   * @param {number} [retryAfterMs] 0 where it makes no sense to ask again
   */
  constructor(status, title, detail, retryAfterMs = 0) {
    super(detail);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Where keypoints are asked for: also what the curl line says.
 *
 * @param {Box[]} boxes
 * @param {Record<string, string>} choice `model` and `version`, where there is a choice
 * @returns {string} an absolute address
 */
export function keypointsAddress(boxes, choice) {
  const query = Object.entries(choice).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  if (boxes.length) query.push(`boxes=${boxes.map((box) => box.join(",")).join(";")}`);
  const address = new URL("v1/keypoints", document.baseURI).href;
  return query.length ? `${address}?${query.join("&")}` : address;
}

/**
 * The models that are served.
 *
 * @param {string} key
 * @returns {Promise<Model[]>}
 */
export async function askModels(key) {
  const response = await send(new URL("v1/models", document.baseURI).href, { headers: authorization(key) });
  return (await response.json()).models;
}

/**
 * The keypoints of a picture. A server that is busy is asked again when it says, a few times.
 *
 * @param {Picture} picture
 * @param {string} address
 * @param {string} key
 * @param {AbortSignal} signal
 * @param {(seconds: number) => void} onWait told before each wait
 * @returns {Promise<Asked>}
 */
export async function askKeypoints(picture, address, key, signal, onWait) {
  const headers = { "Content-Type": picture.type, ...authorization(key) };
  for (let waits = 0; ; waits += 1) {
    try {
      const started = performance.now();
      const response = await send(address, { method: "POST", body: picture.blob, headers, signal });
      const answer = /** @type {Answer} */ (await response.json());
      const stages = readServerTiming(response.headers.get("Server-Timing") ?? "");
      return { answer, stages, roundTripMs: performance.now() - started };
    } catch (error) {
      if (!(error instanceof Problem && error.retryAfterMs && waits < MOST_WAITS)) throw error;
      onWait(error.retryAfterMs / 1000);
      await pause(error.retryAfterMs, signal);
    }
  }
}

/**
 * @param {string} text a `Server-Timing` header
 * @returns {Stage[]}
 */
export function readServerTiming(text) {
  return [...text.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, milliseconds]) => ({
    name,
    milliseconds: Number(milliseconds),
  }));
}

/** @param {string} key */
function authorization(key) {
  return /** @type {Record<string, string>} */ (key ? { Authorization: `Bearer ${key}` } : {});
}

/**
 * @param {string} address
 * @param {RequestInit} options
 */
async function send(address, options) {
  let response;
  try {
    response = await fetch(address, { ...options, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "No answer", "The server cannot be reached.");
  }
  if (response.ok) return response;
  throw await readProblem(response);
}

/** @param {Response} response */
async function readProblem(response) {
  const isProblem = response.headers.get("Content-Type")?.includes("json");
  const said = isProblem ? await response.json() : {};
  const seconds = Number(response.headers.get("Retry-After"));
  const retryAfterMs = response.status === 429 ? said.retry_after_ms || 1000 * seconds || 1000 : 0;
  const title = said.title ?? (response.statusText || `Status ${response.status}`);
  return new Problem(response.status, title, said.detail ?? "The server says no more.", retryAfterMs);
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
