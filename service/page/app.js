/** The page: what comes in is asked, what is answered is shown. */

import { askModels, keypointsAddress, Problem } from "./api.js";
import { createAsking } from "./asking.js";
import { startCamera, whyNoCamera } from "./camera.js";
import { byId } from "./dom.js";
import { listenForExports } from "./export.js";
import { listenForPictures } from "./intake.js";
import { createKey } from "./key.js";
import { appease, complain, say } from "./messages.js";
import { createModels } from "./models.js";
import { doubtOf, inWords } from "./verdict.js";
import { createView } from "./view.js";

/** @import {Asked, Box, Picture} from "./types.js" */

const SETTLE_MS = 300; // arrow keys move a box many times before it is where it should be
const SAID_MS = 2000; // what the camera's frames say is read aloud, which takes longer than a frame
const REFUSED = [400, 413, 415, 422]; // as this picture, which no second try would help

function start() {
  /** What is asked for. @type {Picture | null} */
  let picture = null;
  /** What is shown. @type {{picture: Picture, asked: Asked, address: string, boxes: Box[]} | null} */
  let shown = null;
  let stopCamera = () => {};
  let streaming = false;
  let taken = 0;
  let settling = 0;
  let saidAt = 0;
  /** Whether the models are known. @type {Promise<boolean>} */
  let loading;

  const view = createView(() => askAgain(SETTLE_MS));
  const models = createModels(() => askAgain(0));
  const key = createKey(async () => {
    loading = loadModels();
    if (await loading) askAgain(0);
  });
  const asking = createAsking((seconds) => {
    say(`The server is busy; it is asked again in ${Number(seconds.toFixed(1))} s.`);
  });

  /**
   * @param {unknown} error the server's problem in its own words, or the browser's
   * @param {string} [about] the file that was refused
   */
  function fail(error, about = "") {
    sayShown();
    if (error instanceof Problem && error.status === 401) {
      appease(); // the form says it
      byId("interface").hidden = true; // it would be refused as well
      key.ask();
      return;
    }
    const detail = error instanceof Error ? error.message : String(error);
    complain(error instanceof Problem ? error.title : "This did not work", about ? `${about}: ${detail}` : detail);
  }

  /** Of the answer that is shown, if there is one. */
  function sayShown() {
    const sentence = streaming ? "The camera runs." : shown ? inWords(shown.asked) : "";
    const doubt = shown ? doubtOf(shown.asked.answer, models.of(shown.asked.answer)?.description ?? "") : "";
    const same = byId("status").textContent === [sentence, doubt].filter(Boolean).join(" ");
    if (!(streaming && same)) say(sentence, doubt); // said twice it would be read aloud twice
    saidAt = performance.now();
  }

  async function loadModels() {
    try {
      models.show(await askModels(key.value));
      appease();
      return true;
    } catch (error) {
      fail(error);
      return false;
    }
  }

  async function ask() {
    if (!picture) return;
    const of = picture;
    const boxes = [...view.boxes];
    const address = keypointsAddress(boxes, models.choice);
    const asked = await asking.ask(of, address, key.value);
    if (!asked) return;
    shown = { picture: of, asked, address, boxes };
    showAnswer();
    appease();
    if (!streaming || performance.now() - saidAt > SAID_MS) sayShown();
  }

  function showAnswer() {
    if (!shown) return;
    const { picture: of, asked, address } = shown;
    view.showAnswer(asked, of, models.of(asked.answer)?.skeleton ?? [], address, Boolean(key.value));
  }

  /** @param {number} milliseconds until it settles */
  function askAgain(milliseconds) {
    clearTimeout(settling);
    if (!streaming) settling = setTimeout(() => ask().catch(fail), milliseconds);
  }

  /** What came instead is no picture for this server. @param {typeof shown} before */
  function goBack(before) {
    shown = before;
    if (!before) return;
    picture = before.picture;
    view.showPicture(picture);
    view.putBoxes(before.boxes);
    showAnswer();
  }

  /**
   * A picture of its own: the boxes and points of the one before are gone, unless it is refused.
   *
   * @param {Promise<Picture>} coming
   * @param {string} example whose it is
   */
  async function take(coming, example) {
    stopCamera();
    taken += 1;
    const mine = taken;
    const before = shown;
    let name = "";
    try {
      const arrived = await coming;
      await loading; // where there are several, a request must say which one
      if (mine !== taken) return;
      clearTimeout(settling);
      picture = arrived;
      shown = null;
      name = arrived.origin === "file" ? arrived.name : "";
      if (example) models.pick(example);
      view.putBoxes([]);
      view.showPicture(picture);
      appease();
      say("Asking for the keypoints.");
      await ask();
    } catch (error) {
      const refused = error instanceof Problem && REFUSED.includes(error.status);
      if (refused) goBack(before);
      fail(error, refused ? name : "");
    }
  }

  async function runCamera() {
    const button = /** @type {HTMLButtonElement} */ (byId("camera"));
    const before = taken;
    button.disabled = true; // until the person has allowed it, or not
    let camera;
    try {
      camera = await startCamera(
        async (frame) => {
          picture = frame;
          await ask();
        },
        (rate) => {
          byId("rate").textContent = `${rate.toFixed(1)} frames per second`;
        },
      );
    } catch (error) {
      complain("The camera cannot be opened", whyNoCamera(error));
      return;
    } finally {
      button.disabled = false;
    }
    stopCamera = camera.stop;
    if (before !== taken) {
      stopCamera(); // a picture came while the person was asked
      camera.ended.catch(fail);
      return;
    }
    await stream(camera.ended);
  }

  /** @param {Promise<void>} ended when the camera has stopped */
  async function stream(ended) {
    taken += 1;
    const mine = taken;
    clearTimeout(settling);
    view.putBoxes([]);
    appease();
    showStreaming(true);
    say("The camera runs.");
    saidAt = 0;
    try {
      await ended;
      if (mine === taken) say("The camera has stopped.");
    } catch (error) {
      showStreaming(false);
      goBack(shown);
      fail(error);
    } finally {
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
      shown && {
        picture: shown.picture,
        answer: shown.asked.answer,
        skeleton: models.of(shown.asked.answer)?.skeleton ?? [],
        threshold: view.threshold,
      },
    say,
  );
  loading = loadModels();
}

start();
