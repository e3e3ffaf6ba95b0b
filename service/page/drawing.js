/** Skeletons on a canvas: the same on the page and in the file that is saved. */

import { scoreCss } from "./colours.js";

/** @import {Instance, Keypoint} from "./types.js" */

const SHADOW = "rgb(0 0 0 / 0.55)";

/**
 * Where a keypoint lies on a canvas: pixel 0 has its centre at 0 in the answer and at half a pixel on the canvas.
 *
 * @param {Keypoint} keypoint
 * @param {number} scale pixels of the canvas per pixel of the picture
 * @returns {[number, number]}
 */
export function placeOf(keypoint, scale) {
  return [(keypoint.x + 0.5) * scale, (keypoint.y + 0.5) * scale];
}

/**
 * The radius of a dot: it follows the object, so that a small face in a large picture can still be told.
 *
 * @param {Instance} instance
 * @param {number} scale
 * @param {number} unit pixels of the canvas that look like one
 */
export function dotRadius(instance, scale, unit) {
  const xs = instance.keypoints.map((keypoint) => keypoint.x);
  const ys = instance.keypoints.map((keypoint) => keypoint.y);
  const extent = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
  return Math.min(Math.max(0.012 * extent * scale, 1.7 * unit), 5 * unit);
}

/**
 * Draw instances; keypoints below the threshold are left out, with their bones.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Instance[]} instances
 * @param {[number, number][]} skeleton
 * @param {number} scale
 * @param {number} unit
 * @param {number} threshold
 */
export function drawInstances(context, instances, skeleton, scale, unit, threshold) {
  context.lineCap = "round";
  for (const instance of instances) {
    const radius = dotRadius(instance, scale, unit);
    drawBones(context, instance, skeleton, scale, radius, threshold);
    for (const keypoint of instance.keypoints) {
      if (keypoint.score >= threshold) drawDot(context, keypoint, scale, radius, unit);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Instance} instance
 * @param {[number, number][]} skeleton
 * @param {number} scale
 * @param {number} radius
 * @param {number} threshold
 */
function drawBones(context, instance, skeleton, scale, radius, threshold) {
  for (const [start, end] of skeleton) {
    const [from, to] = [instance.keypoints[start], instance.keypoints[end]];
    const score = Math.min(from.score, to.score);
    if (score < threshold) continue;
    context.beginPath();
    context.moveTo(...placeOf(from, scale));
    context.lineTo(...placeOf(to, scale));
    context.strokeStyle = SHADOW;
    context.lineWidth = 1.1 * radius;
    context.stroke();
    context.strokeStyle = scoreCss(score);
    context.lineWidth = 0.6 * radius;
    context.stroke();
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Keypoint} keypoint
 * @param {number} scale
 * @param {number} radius
 * @param {number} unit
 */
function drawDot(context, keypoint, scale, radius, unit) {
  context.beginPath();
  context.arc(...placeOf(keypoint, scale), radius, 0, 2 * Math.PI);
  context.fillStyle = scoreCss(keypoint.score);
  context.fill();
  context.strokeStyle = SHADOW;
  context.lineWidth = 0.8 * unit;
  context.stroke();
}

/**
 * A ring around one keypoint.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Keypoint} keypoint
 * @param {number} scale
 * @param {number} radius
 * @param {number} unit
 */
export function drawRing(context, keypoint, scale, radius, unit) {
  for (const [colour, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 0.75)", 4], ["white", 2]])) {
    context.beginPath();
    context.arc(...placeOf(keypoint, scale), radius + 4 * unit, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = width * unit;
    context.stroke();
  }
}
