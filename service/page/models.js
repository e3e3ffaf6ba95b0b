/** Which models there are, and which one is asked. */

import { byId, element } from "./dom.js";

/** @import {Answer, Model} from "./types.js" */

/**
 * @param {() => void} onChange told when the person picks another one
 */
export function createModels(onChange) {
  const select = /** @type {HTMLSelectElement} */ (byId("model"));
  /** @type {Model[]} */
  let models = [];

  const chosen = () => models[select.selectedIndex];

  function describe() {
    const model = chosen();
    byId("licence").textContent = model ? `${model.name} ${model.version}: ${model.licence.summary}` : "";
    byId("model-about").textContent = model?.description ?? "";
  }

  select.addEventListener("change", () => {
    describe();
    onChange();
  });

  return {
    /** @param {Model[]} found */
    show(found) {
      const before = chosen();
      models = found;
      const several = (/** @type {string} */ name) => models.filter((model) => model.name === name).length > 1;
      select.replaceChildren(
        ...models.map(({ name, version }) => element("option", {}, several(name) ? `${name} ${version}` : name)),
      );
      const same = models.findIndex(({ name, version }) => name === before?.name && version === before.version);
      select.selectedIndex = Math.max(0, same);
      select.disabled = models.length < 2;
      describe();
      showExamples(models);
    },
    /**
     * @param {string} name picked where it is served
     */
    pick(name) {
      const index = models.findIndex((model) => model.name === name);
      if (index >= 0 && chosen()?.name !== name) select.selectedIndex = index;
      describe();
    },
    /** What a request must say; nothing where there is no choice. @returns {Record<string, string>} */
    get choice() {
      const model = chosen();
      if (!model || models.length < 2) return {};
      const same = models.filter(({ name }) => name === model.name);
      return same.length > 1 ? { model: model.name, version: model.version } : { model: model.name };
    },
    /**
     * The model that answered, unless it has gone meanwhile.
     *
     * @param {Answer} answer
     */
    of({ model }) {
      return models.find(({ name, version }) => name === model.name && version === model.version);
    },
  };
}

/**
 * Offer the pictures that suit what is served; all of them where none does.
 *
 * @param {Model[]} models
 */
function showExamples(models) {
  const buttons = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-example]")]);
  const suits = (/** @type {HTMLElement} */ button) => models.some(({ name }) => name === button.dataset.example);
  const someSuit = buttons.some(suits);
  for (const button of buttons) button.hidden = someSuit && !suits(button);
  const several = buttons.filter(({ hidden }) => !hidden).length > 1;
  byId("examples-label").textContent = several ? "Examples" : "Example";
}
