// Runs before the first paint, so that a chosen theme does not flash the other one.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem("nimbus-theme");
  } catch {
    // Storage can be off; the system's theme is used.
  }
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
