/** One request at a time: a new one gives up the one before. */

import { askKeypoints } from "./api.js";

/** @import {Asked, Picture} from "./types.js" */

/**
 * @param {(seconds: number) => void} onWait told when a busy server is to be asked again
 */
export function createAsking(onWait) {
  const { classList } = document.body;
  let current = new AbortController();

  return {
    /**
     * @param {Picture} picture
     * @param {string} address
     * @param {string} key
     * @returns {Promise<Asked | null>} null where a newer request took its place
     */
    async ask(picture, address, key) {
      current.abort();
      const mine = new AbortController();
      current = mine;
      classList.add("asking");
      try {
        return await askKeypoints(picture, address, key, mine.signal, onWait);
      } catch (error) {
        if (mine.signal.aborted) return null;
        throw error;
      } finally {
        if (current === mine) classList.remove("asking");
      }
    },
  };
}
