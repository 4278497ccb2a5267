// Runs before the first paint, so that neither theme nor language flickers.
(() => {
  const root = document.documentElement;
  let theme = null;
  try {
    theme = localStorage.getItem('theme');
  } catch {
    // Storage may be switched off: the system's theme is used.
  }
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
})();
