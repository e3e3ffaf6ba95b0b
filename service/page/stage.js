/** The picture with its points: two canvases, one over the other, as sharp as the screen. */

import { byId } from "./dom.js";
import { dotRadius, drawInstances, drawRing, placeOf } from "./drawing.js";

/** @import {Instance, Picture} from "./types.js" */

const REACH = 14; // CSS pixels from a point within which it counts as pointed at

/**
 * @typedef {object} Shown
 * @property {Picture | null} picture
 * @property {number} width of the picture as displayed, in its pixels
 * @property {number} height
 * @property {Instance[]} instances
 * @property {[number, number][]} skeleton
 * @property {number} threshold
 * @property {{instance: number, keypoint: number} | null} pointed
 */

/**
 * The stage.
 *
 * @param {(pointed: Shown["pointed"]) => void} onPoint told which keypoint the mouse is at
 */
export function createStage(onPoint) {
  const frame = byId("stage");
  const tip = byId("tip");
  const canvases = /** @type {HTMLCanvasElement[]} */ ([byId("picture"), byId("points")]);
  /** @type {Shown} */
  let shown = {
    picture: null, width: 1, height: 1, instances: [], skeleton: [], threshold: 0, pointed: null,
  };

  function paint() {
    const unit = window.devicePixelRatio || 1;
    const [width, height] = [frame.clientWidth * unit, frame.clientHeight * unit].map(Math.round);
    if (!width || !height) return;
    const contexts = canvases.map((canvas) => {
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    });
    for (const context of contexts) context.clearRect(0, 0, width, height);
    contexts[0].imageSmoothingQuality = "high";
    if (shown.picture?.bitmap) contexts[0].drawImage(shown.picture.bitmap, 0, 0, width, height);
    const scale = width / shown.width;
    drawInstances(contexts[1], shown.instances, shown.skeleton, scale, unit, shown.threshold);
    paintPointed(contexts[1], scale, unit);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} scale
   * @param {number} unit
   */
  function paintPointed(context, scale, unit) {
    const instance = shown.pointed && shown.instances[shown.pointed.instance];
    const keypoint = instance?.keypoints[shown.pointed?.keypoint ?? 0];
    tip.hidden = !keypoint;
    if (!instance || !keypoint) return;
    drawRing(context, keypoint, scale, dotRadius(instance, scale, unit), unit);
    const [x, y] = placeOf(keypoint, frame.clientWidth / shown.width);
    tip.textContent = `${keypoint.name}  ${keypoint.score.toFixed(2)}`;
    const half = tip.offsetWidth / 2;
    const left = Math.min(Math.max(x, half + 4), frame.clientWidth - half - 4);
    tip.style.setProperty("left", `${left}px`);
    tip.style.setProperty("top", `${y < 48 ? y + 14 : y - 42}px`);
  }

  /** @param {PointerEvent} event */
  function nearest(event) {
    const bounds = frame.getBoundingClientRect();
    const scale = frame.clientWidth / shown.width;
    let found = null;
    let least = REACH;
    for (const [instance, { keypoints }] of shown.instances.entries()) {
      for (const [keypoint, one] of keypoints.entries()) {
        if (one.score < shown.threshold) continue;
        const [x, y] = placeOf(one, scale);
        const away = Math.hypot(x - (event.clientX - bounds.left), y - (event.clientY - bounds.top));
        if (away < least) [found, least] = [{ instance, keypoint }, away];
      }
    }
    return found;
  }

  new ResizeObserver(paint).observe(frame);
  frame.addEventListener("pointermove", (event) => onPoint(nearest(event)));
  frame.addEventListener("pointerdown", (event) => onPoint(nearest(event))); // a finger hovers over nothing
  frame.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") onPoint(null);
  });

  return {
    /** @param {Partial<Shown>} changes */
    show(changes) {
      shown = { ...shown, ...changes };
      frame.style.setProperty("--ratio", String(shown.width / shown.height));
      paint();
    },
  };
}

/**
 * The picture in its own size with what is drawn on it, as a PNG file.
 *
 * @param {Shown["picture"]} picture
 * @param {Instance[]} instances
 * @param {[number, number][]} skeleton
 * @param {number} threshold
 * @returns {Promise<Blob>}
 */
export async function annotatedPng(picture, instances, skeleton, threshold) {
  if (!picture?.bitmap) throw new Error("there is no picture to draw on");
  const canvas = new OffscreenCanvas(picture.bitmap.width, picture.bitmap.height);
  const context = /** @type {CanvasRenderingContext2D} */ (/** @type {unknown} */ (canvas.getContext("2d")));
  context.drawImage(picture.bitmap, 0, 0);
  drawInstances(context, instances, skeleton, 1, Math.max(1, canvas.width / 1000), threshold);
  return canvas.convertToBlob({ type: "image/png" });
}
