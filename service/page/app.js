/** The page: what comes in is asked, what is answered is shown. */

import { askModels, keypointsAddress, Problem } from "./api.js";
import { createAsking } from "./asking.js";
import { startCamera } from "./camera.js";
import { byId } from "./dom.js";
import { listenForExports } from "./export.js";
import { listenForPictures } from "./intake.js";
import { createKey } from "./key.js";
import { appease, complain, say } from "./messages.js";
import { createModels } from "./models.js";
import { createView, inWords } from "./view.js";

/** @import {Answer, Picture} from "./types.js" */

const SETTLE_MS = 300; // arrow keys move a box many times before it is where it should be

function start() {
  /** @type {Picture | null} */
  let picture = null;
  /** @type {Answer | null} */
  let answer = null;
  let stopCamera = () => {};
  let streaming = false;
  let taken = 0;
  let settling = 0;

  const view = createView(() => askAgain(SETTLE_MS));
  const models = createModels(() => askAgain(0));
  const key = createKey(async () => {
    await loadModels();
    askAgain(0);
  });
  const asking = createAsking((seconds) => {
    say(`The server is busy; it is asked again in ${Number(seconds.toFixed(1))} s.`);
  });

  /** @param {unknown} error */
  function fail(error) {
    complain(error);
    if (!(error instanceof Problem && error.status === 401)) return;
    byId("interface").hidden = true; // it would be refused as well
    key.ask(error.detail);
  }

  async function loadModels() {
    try {
      models.show(await askModels(key.value));
      appease();
    } catch (error) {
      fail(error);
    }
  }

  async function ask() {
    if (!picture) return;
    const of = picture;
    const address = keypointsAddress(view.boxes, models.choice);
    const asked = await asking.ask(of, address, key.value);
    if (!asked) return;
    answer = asked.answer;
    view.showAnswer(asked, of, models.skeletonOf(answer), address, Boolean(key.value));
    appease();
    say(streaming ? "The camera runs." : inWords(asked));
  }

  /** @param {number} milliseconds until it settles */
  function askAgain(milliseconds) {
    clearTimeout(settling);
    if (!streaming) settling = setTimeout(() => ask().catch(fail), milliseconds);
  }

  /**
   * A picture of its own: the boxes and points of the one before are gone.
   *
   * @param {Promise<Picture>} coming
   * @param {string} example whose it is
   */
  async function take(coming, example) {
    stopCamera();
    taken += 1;
    const mine = taken;
    try {
      const arrived = await coming;
      if (mine !== taken) return;
      picture = arrived;
      answer = null;
      if (example) models.pick(example);
      view.clearBoxes();
      view.showPicture(picture);
      appease();
      say("Asking for the keypoints.");
      await ask();
    } catch (error) {
      fail(error);
    }
  }

  async function runCamera() {
    const button = /** @type {HTMLButtonElement} */ (byId("camera"));
    taken += 1;
    const mine = taken;
    button.disabled = true; // until the person has allowed it, or not
    view.clearBoxes();
    appease();
    try {
      const camera = await startCamera(
        async (frame) => {
          picture = frame;
          await ask();
        },
        (rate) => {
          byId("rate").textContent = `${rate.toFixed(1)} frames per second`;
        },
      );
      stopCamera = camera.stop;
      button.disabled = false;
      if (mine !== taken) stopCamera(); // a picture came while the person was asked
      showStreaming(true);
      await camera.ended;
      if (mine === taken) say("The camera has stopped.");
    } catch (error) {
      fail(error);
    } finally {
      button.disabled = false;
      showStreaming(false);
    }
  }

  /** @param {boolean} running */
  function showStreaming(running) {
    streaming = running;
    document.body.classList.toggle("streaming", running);
    byId("camera-label").textContent = running ? "Stop the camera" : "Camera";
    byId("rate").textContent = "";
  }

  byId("camera").addEventListener("click", () => (streaming ? stopCamera() : runCamera()));
  listenForPictures(take);
  listenForExports(
    () =>
      picture && answer && { picture, answer, skeleton: models.skeletonOf(answer), threshold: view.threshold },
    say,
  );
  loadModels();
}

start();
