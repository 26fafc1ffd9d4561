// The choice of dark or light, made before anything is painted.
(() => {
  let theme = "auto";
  try {
    theme = localStorage.getItem("shoal-theme") || "auto";
  } catch { /* Storage may be forbidden; then the system decides. */ }
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
})();
