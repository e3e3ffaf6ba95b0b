/** An answer in a sentence, and whether the model may have seen something else than it was made for. */

/** @import {Answer, Asked} from "./types.js" */

const SURE = 0.5; // mean scores of face68: 0.82 on a face, 0.14 to 0.48 on pictures without one

/** @param {Asked} asked */
export function inWords({ answer: { instances }, roundTripMs }) {
  const score = instances.reduce((sum, one) => sum + one.score, 0) / Math.max(1, instances.length);
  const objects = instances.length === 1 ? "one object" : `${instances.length} objects`;
  const points = instances.reduce((sum, one) => sum + one.keypoints.length, 0);
  return `${points} keypoints of ${objects}, mean score ${score.toFixed(2)}, in ${Math.round(roundTripMs)} ms.`;
}

/**
 * What is to be doubted of an answer.
 *
 * @param {Answer} answer
 * @param {string} description of the model that gave it; empty where it is not known
 * @returns {string} empty where the model is sure of every object
 */
export function doubtOf({ instances }, description) {
  const unsure = instances.flatMap(({ score }, index) => (score < SURE ? [index + 1] : []));
  if (!unsure.length) return "";
  const where = instances.length > 1 ? ` in ${unsure.length > 1 ? "boxes" : "box"} ${unsure.join(", ")}` : "";
  return `The model is not sure that it sees what it was made for${where}${description ? `: ${description}` : "."}`;
}
