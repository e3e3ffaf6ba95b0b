/** The camera: one frame after the other, each the newest there is when the one before has its answer. */

import { element } from "./dom.js";
import { readPicture } from "./picture.js";

/** @import {Picture} from "./types.js" */

const WIDTH = 640;
const QUALITY = 0.85;
const REMEMBERED = 20; // frames over which the rate is counted

/** Why a camera cannot be opened, by the browser's name for it. @type {Record<string, string>} */
const REASONS = {
  NotFoundError: "No camera was found.",
  OverconstrainedError: "No camera was found.",
  NotAllowedError: "The camera is not allowed. Allow it for this page in the browser's settings.",
  SecurityError: "The camera is not allowed. Allow it for this page in the browser's settings.",
  NotReadableError: "The camera does not start; another program may be using it.",
};

/**
 * @typedef {object} Camera
 * @property {() => void} stop
 * @property {Promise<void>} ended when it has stopped; fails where a frame did
 */

/**
 * In a sentence, why a camera could not be opened.
 *
 * @param {unknown} error of `startCamera`
 */
export function whyNoCamera(error) {
  if (!(error instanceof Error)) return String(error);
  return REASONS[error.name] ?? error.message;
}

/**
 * Start the camera.
 *
 * @param {(frame: Picture) => Promise<void>} onFrame what is done with a frame; the next one waits for it
 * @param {(framesPerSecond: number) => void} onRate
 * @returns {Promise<Camera>}
 */
export async function startCamera(onFrame, onRate) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers open the camera only for https addresses and for this computer itself (127.0.0.1).");
  }
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment", width: { ideal: WIDTH } },
    audio: false,
  });
  const video = element("video", { playsinline: "" });
  video.muted = true;
  video.srcObject = stream;
  let running = true;
  const stop = () => {
    running = false;
    for (const track of stream.getTracks()) track.stop();
  };
  try {
    await video.play();
  } catch (error) {
    stop();
    throw error;
  }
  stream.getTracks()[0].addEventListener("ended", stop);

  async function loop() {
    const times = [];
    try {
      while (running) {
        const frame = await readPicture(await grab(video), "camera.jpg", "camera");
        if (!running) break;
        await onFrame(frame);
        times.push(performance.now());
        if (times.length > REMEMBERED) times.shift();
        if (times.length > 1) onRate((1000 * (times.length - 1)) / (times[times.length - 1] - times[0]));
      }
    } finally {
      stop();
    }
  }
  return { stop, ended: loop() };
}

/**
 * What the camera sees now, as a JPEG file.
 *
 * @param {HTMLVideoElement} video
 */
async function grab(video) {
  const width = Math.min(WIDTH, video.videoWidth);
  const height = Math.round((width * video.videoHeight) / video.videoWidth);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(video, 0, 0, width, height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}
