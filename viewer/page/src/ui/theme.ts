// Dark or light: as the system has it until the user says otherwise.

const KEY = "avatar-theme";
const THEMES = ["dark", "light"] as const;
type Theme = (typeof THEMES)[number];

function stored(): Theme | null {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? null;
  } catch {
    return null; // a page from a file may have no storage
  }
}

export function applyTheme(): void {
  const theme = stored();
  if (theme) document.documentElement.dataset.theme = theme;
}

export function switchTheme(): void {
  const system = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  const next = (document.documentElement.dataset.theme ?? system) === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // It lasts as long as the page then.
  }
}
