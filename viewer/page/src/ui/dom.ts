// Elements and the few controls that every panel is made of.

type Value = string | number | boolean | null | ((event: never) => void);
export type Attributes = Readonly<Record<string, Value>>;
export type Child = Node | string | null;

/** An element. Functions among the attributes are listeners; `true` and `false` mean that it is there or not. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null));
  return element;
}

const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.9.4-1.2 1-1.2 2.2m0 3v.1M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  panel: "M3.5 5h17v14h-17zM14.5 5v14",
  frame: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  loop: "M17 3l3.5 3.5L17 10M4 11.5v-1a4 4 0 0 1 4-4h12.5M7 21l-3.500-3.500L7 14M20 12.500v1a4 4 0 0 1-4 4H3.500",
  sway: "M7 8l-4 4 4 4M17 8l4 4-4 4M3.500 12h17",
  once: "M4 12h13M13 7l5 5-5 5M20.500 5v14",
  close: "M6 6l12 12M18 6L6 18",
  back: "M11 5l-7 7 7 7M4.500 12H20",
} as const;
export type Icon = keyof typeof ICONS;

export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", name === "play" || name === "pause" ? "icon solid" : "icon");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg as SVGSVGElement;
}

export function button(label: string, press: () => void, attributes: Attributes = {}): HTMLButtonElement {
  return el("button", { type: "button", click: press, ...attributes }, label);
}

export function iconButton(name: Icon, label: string, press: () => void, key = ""): HTMLButtonElement {
  const title = key ? `${label} (${key})` : label;
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title, click: press }, icon(name));
}

let numControls = 0;
const newId = (): string => `control-${++numControls}`;

/** A control that shows a value which others may change too. */
export interface Control<T> {
  readonly element: HTMLElement;
  show(value: T): void;
}

/** One of a few, all of them in sight: radio buttons that look like one bar. */
export function choice<T extends string>(
  label: string,
  options: readonly (readonly [T, string])[],
  value: T,
  choose: (value: T) => void,
): Control<T> {
  const name = newId();
  const inputs = options.map(([option]) =>
    el("input", { type: "radio", name, value: option, checked: option === value, change: () => choose(option) }),
  );
  const labels = options.map(([, text], i) => el("label", {}, inputs[i], el("span", {}, text)));
  const bar = el("div", { class: "choice", role: "radiogroup", "aria-label": label }, ...labels);
  return {
    element: el("div", { class: "field" }, el("span", { class: "name", "aria-hidden": "true" }, label), bar),
    show: (shown) => inputs.forEach((input) => (input.checked = input.value === shown)),
  };
}

export function toggle(label: string, value: boolean, change: (value: boolean) => void, key = ""): Control<boolean> {
  const input = el("input", { type: "checkbox", role: "switch", checked: value, change: () => change(input.checked) });
  const hint = key ? el("kbd", { "aria-hidden": "true" }, key) : null;
  return {
    element: el("label", { class: "toggle" }, input, el("span", {}, label), hint),
    show: (shown) => (input.checked = shown),
  };
}

export interface Range {
  readonly low: number;
  readonly high: number;
  readonly step: number;
  readonly value: number;
  /** How a value is written. */
  readonly text: (value: number) => string;
}

/** A slider with its name and value; a double click on it takes the first value again. */
export function slider(label: string, range: Range, change: (value: number) => void): Control<number> {
  const id = newId();
  const output = el("output", { for: id }, range.text(range.value));
  const show = (value: number): void => {
    input.value = String(value);
    output.textContent = range.text(value);
    input.setAttribute("aria-valuetext", range.text(value));
  };
  const moved = (): void => {
    show(Number(input.value));
    change(Number(input.value));
  };
  const reset = (): void => {
    show(range.value);
    change(range.value);
  };
  const bounds = { min: range.low, max: range.high, step: range.step };
  const input = el("input", { id, type: "range", ...bounds, input: moved, dblclick: reset });
  show(range.value);
  return { element: el("div", { class: "slider" }, el("label", { for: id }, label), output, input), show };
}

/** One of many, by a list that unfolds. */
export function select(
  label: string,
  change: (value: string) => void,
): Control<string> & {
  options(values: readonly (readonly [string, string])[]): void;
} {
  const id = newId();
  const input = el("select", { id, change: () => change(input.value) });
  return {
    element: el("div", { class: "field" }, el("label", { class: "name", for: id }, label), input),
    show: (value) => (input.value = value),
    options: (values) => input.replaceChildren(...values.map(([value, text]) => el("option", { value }, text))),
  };
}

/** A part of the panel that folds. */
export function section(title: string, isOpen: boolean, ...children: Child[]): HTMLDetailsElement {
  const body = el("div", { class: "body" }, ...children);
  return el("details", { class: "section", open: isOpen }, el("summary", {}, el("h2", {}, title)), body);
}

/** Hands a file to the user. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
