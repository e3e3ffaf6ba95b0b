/** The colour of a score: red, yellow, turquoise, which differ in lightness and in blue too, not in red and green alone. */

const STOPS = [
  [255, 77, 109],
  [255, 209, 71],
  [45, 226, 198],
];

/**
 * @param {number} score 0 to 1
 * @returns {[number, number, number]} red, green, blue, 0 to 255
 */
export function scoreColour(score) {
  const place = Math.min(Math.max(score, 0), 1) * (STOPS.length - 1);
  const start = Math.min(Math.floor(place), STOPS.length - 2);
  const [from, to] = [STOPS[start], STOPS[start + 1]];
  const mix = (/** @type {number} */ channel) =>
    Math.round(from[channel] + (place - start) * (to[channel] - from[channel]));
  return [mix(0), mix(1), mix(2)];
}

/** @param {number} score */
export function scoreCss(score) {
  return `rgb(${scoreColour(score).join(" ")})`;
}
