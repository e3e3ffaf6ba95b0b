/** Light or dark: as the system says, until the person says otherwise. */

const KEPT = "focalpoint-theme";

/** @returns {"light" | "dark"} */
function current() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

const kept = localStorage.getItem(KEPT);
if (kept) document.documentElement.dataset.theme = kept;

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  const say = () => button?.setAttribute("aria-pressed", String(current() === "dark"));
  button?.addEventListener("click", () => {
    const other = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = other;
    localStorage.setItem(KEPT, other);
    say();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
  say();
});
