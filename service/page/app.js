/** The page: what comes in is asked, what is answered is shown. */

import { askKeypoints, askModels, keypointsAddress, Problem } from "./api.js";
import { createBoxEditor } from "./boxes.js";
import { startCamera } from "./camera.js";
import { curlLine } from "./curl.js";
import { byId } from "./dom.js";
import { asText, listenForExports } from "./export.js";
import { listenForPictures } from "./intake.js";
import { createKey } from "./key.js";
import { createModels } from "./models.js";
import { createScores } from "./scores.js";
import { createStage } from "./stage.js";
import { createTable } from "./table.js";
import { showTimings } from "./timings.js";

/** @import {Asked, Picture} from "./types.js" */

const SETTLE_MS = 300; // arrow keys move a box many times before it is where it should be

function start() {
  /** @type {Picture | null} */
  let picture = null;
  /** @type {Asked | null} */
  let asked = null;
  /** @type {import("./camera.js").Camera | null} */
  let camera = null;
  let asking = new AbortController();
  let settling = 0;

  const models = createModels(() => askAgain(0));
  const key = createKey(async () => {
    await loadModels();
    askAgain(0);
  });
  const boxes = createBoxEditor(byId("boxes"), () => askAgain(SETTLE_MS));
  const scores = createScores((threshold) => {
    stage.show({ threshold });
    table.dim(threshold);
  });
  const stage = createStage(point);
  const table = createTable(point);
  stage.show({ threshold: scores.threshold });

  /** @param {{instance: number, keypoint: number} | null} pointed */
  function point(pointed) {
    stage.show({ pointed });
    table.mark(pointed);
  }

  /** @param {string} sentence for the eye and for the ear */
  function say(sentence) {
    byId("status").textContent = sentence;
  }

  /** @param {unknown} error */
  function complain(error) {
    const [title, detail] =
      error instanceof Problem ? [error.title, error.detail] : ["This did not work", String(error)];
    byId("problem").hidden = false;
    byId("problem-title").textContent = title;
    byId("problem-detail").textContent = detail;
    say("");
    if (error instanceof Problem && error.status === 401) key.ask(detail);
  }

  async function loadModels() {
    try {
      models.show(await askModels(key.value));
      byId("problem").hidden = true;
    } catch (error) {
      complain(error);
    }
  }

  /**
   * Ask for the keypoints of the picture that is shown; what was under way is given up.
   *
   * @returns {Promise<void>} fails with what went wrong
   */
  async function ask() {
    if (!picture) return;
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const address = keypointsAddress(boxes.boxes, models.choice);
    document.body.classList.add("asking");
    try {
      const found = await askKeypoints(picture, address, key.value, signal, (seconds) =>
        say(`The server is busy; asking again in ${Number(seconds.toFixed(1))} s.`),
      );
      if (!signal.aborted) show(found, picture, address);
    } finally {
      if (!signal.aborted) document.body.classList.remove("asking");
    }
  }

  /** @param {number} milliseconds until it settles */
  function askAgain(milliseconds) {
    byId("clear-boxes").hidden = !boxes.boxes.length;
    clearTimeout(settling);
    if (!camera) settling = setTimeout(() => askOrComplain(), milliseconds);
  }

  async function askOrComplain() {
    const mine = picture;
    try {
      await ask();
    } catch (error) {
      if (mine === picture && !(error instanceof DOMException && error.name === "AbortError")) complain(error);
    }
  }

  /**
   * @param {Asked} found
   * @param {Picture} of
   * @param {string} address
   */
  function show(found, of, address) {
    asked = found;
    const { answer } = found;
    const skeleton = models.skeletonOf(answer);
    boxes.fit(answer.image.width, answer.image.height);
    stage.show({ picture: of, ...answer.image, instances: answer.instances, skeleton, pointed: null });
    scores.show(answer.instances);
    table.fill(answer.instances);
    table.dim(scores.threshold);
    showTimings(found.stages, found.roundTripMs);
    byId("curl").textContent = curlLine(of, address, Boolean(key.value));
    byId("json").textContent = asText(answer);
    byId("curl-hint").hidden = of.origin === "file" || of.origin === "example";
    byId("problem").hidden = true;
    document.body.classList.add("answered");
    if (!camera) sayFound(found);
  }

  /** @param {Asked} found */
  function sayFound({ answer: { instances }, roundTripMs }) {
    const score = instances.reduce((sum, one) => sum + one.score, 0) / Math.max(1, instances.length);
    const objects = instances.length === 1 ? "one object" : `${instances.length} objects`;
    const points = instances.reduce((sum, one) => sum + one.keypoints.length, 0);
    say(`${points} keypoints of ${objects}, score ${score.toFixed(2)}, in ${Math.round(roundTripMs)} ms.`);
  }

  /**
   * A picture of its own: the boxes of the one before are gone, and so are its points until the answer is there.
   *
   * @param {Promise<Picture>} coming
   * @param {string} example whose it is
   */
  async function take(coming, example) {
    stopCamera();
    try {
      picture = await coming;
    } catch (error) {
      complain(error);
      return;
    }
    if (example) models.pick(example);
    boxes.clear();
    byId("clear-boxes").hidden = true;
    byId("problem").hidden = true;
    document.body.classList.remove("answered");
    document.body.classList.toggle("filled", Boolean(picture.bitmap));
    asked = null;
    if (picture.bitmap) {
      const { width, height } = picture.bitmap;
      boxes.fit(width, height);
      stage.show({ picture, width, height, instances: [], pointed: null });
    }
    say("Asking for the keypoints.");
    await askOrComplain();
  }

  function stopCamera() {
    camera?.stop();
  }

  async function runCamera() {
    if (camera) {
      stopCamera();
      return;
    }
    boxes.clear();
    byId("clear-boxes").hidden = true;
    try {
      camera = await startCamera(
        async (frame) => {
          picture = frame;
          document.body.classList.add("filled");
          await ask();
        },
        (rate) => {
          byId("rate").textContent = `${rate.toFixed(1)} frames per second`;
        },
      );
      document.body.classList.add("streaming");
      byId("camera-label").textContent = "Stop the camera";
      say("The camera runs.");
      await camera.ended;
      say("The camera has stopped.");
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) complain(error);
    }
    camera = null;
    byId("rate").textContent = "";
    byId("camera-label").textContent = "Camera";
    document.body.classList.remove("streaming");
  }

  byId("camera").addEventListener("click", runCamera);
  byId("add-box").addEventListener("click", () => boxes.add());
  byId("clear-boxes").addEventListener("click", () => {
    boxes.clear();
    askAgain(0);
    byId("add-box").focus();
  });
  listenForPictures(take);
  listenForExports(
    () =>
      picture && asked
        ? { picture, answer: asked.answer, skeleton: models.skeletonOf(asked.answer), threshold: scores.threshold }
        : null,
    say,
  );
  loadModels();
}

start();
