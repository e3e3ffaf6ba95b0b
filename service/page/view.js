/** What is shown of an answer, in all its places at once. */

import { createBoxEditor } from "./boxes.js";
import { curlLine } from "./curl.js";
import { byId } from "./dom.js";
import { asText } from "./export.js";
import { createScores } from "./scores.js";
import { createStage } from "./stage.js";
import { createTable } from "./table.js";
import { showTimings } from "./timings.js";

/** @import {Asked, Box, Picture} from "./types.js" */

/**
 * @param {() => void} onBoxes told when the boxes are others
 */
export function createView(onBoxes) {
  const { classList } = document.body;
  const stage = createStage(point);
  const table = createTable(point);
  const scores = createScores((threshold) => {
    stage.show({ threshold });
    table.dim(threshold);
  });
  const editor = createBoxEditor(byId("boxes"), () => {
    offerClearing();
    onBoxes();
  });
  byId("add-box").addEventListener("click", () => editor.add());
  byId("clear-boxes").addEventListener("click", () => {
    putBoxes([]);
    onBoxes();
    byId("add-box").focus();
  });
  stage.show({ threshold: scores.threshold });

  /** @param {{instance: number, keypoint: number} | null} pointed */
  function point(pointed) {
    stage.show({ pointed });
    table.mark(pointed);
  }

  function offerClearing() {
    byId("clear-boxes").hidden = !editor.boxes.length;
  }

  /** @param {Box[]} boxes */
  function putBoxes(boxes) {
    editor.put(boxes);
    offerClearing();
  }

  return {
    putBoxes,
    get boxes() {
      return editor.boxes;
    },
    get threshold() {
      return scores.threshold;
    },
    /**
     * A picture that has no answer yet.
     *
     * @param {Picture} picture
     */
    showPicture(picture) {
      classList.remove("answered");
      classList.toggle("filled", Boolean(picture.bitmap));
      if (!picture.bitmap) return;
      const { width, height } = picture.bitmap;
      editor.fit(width, height);
      stage.show({ picture, width, height, instances: [], pointed: null });
    },
    /**
     * @param {Asked} asked
     * @param {Picture} picture
     * @param {[number, number][]} skeleton
     * @param {string} address that was asked
     * @param {boolean} withKey
     */
    showAnswer({ answer, stages, roundTripMs }, picture, skeleton, address, withKey) {
      editor.fit(answer.image.width, answer.image.height);
      stage.show({ picture, ...answer.image, instances: answer.instances, skeleton, pointed: null });
      scores.show(answer.instances);
      table.fill(answer.instances);
      table.dim(scores.threshold);
      showTimings(stages, roundTripMs);
      byId("curl").textContent = curlLine(picture, address, withKey);
      byId("curl-hint").hidden = picture.origin === "file" || picture.origin === "example";
      byId("json").textContent = asText(answer);
      classList.add("filled", "answered");
    },
  };
}
