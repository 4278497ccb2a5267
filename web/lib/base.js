// Nodes and texts, which every module needs.
//
// Nodes: makes elements and text, never markup: whatever a model, a vendor or a user wrote stays text.
// Texts: languages, and the forms of numbers, money and times in them.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element.
 * @param {string} tag such as `div`, or `button.primary.small` with classes
 * @param {object} [props] `on: {click}` adds listeners; `style: {}` sets properties; `true` sets an empty attribute; `null` and `false` leave it out
 * @param {...*} children nodes, texts, numbers, lists of these; `null` and `false` are left out
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split('.');
  return fill(document.createElement(name), classes, props, children);
}

/** The same for elements of SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), [], props, children);
}

function fill(node, classes, props, children) {
  if (classes.length) node.setAttribute('class', classes.join(' '));
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'on') for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (key === 'style') Object.assign(node.style, value);
    else if (key === 'class') node.setAttribute('class', [...classes, value].filter(Boolean).join(' '));
    else if (key === 'value' || key === 'checked' || key === 'indeterminate') node[key] = value;
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

/** Adds children as `h` does. */
export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === true) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** Takes out what is there and puts the given children in. */
export function replace(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

const paths = {
  overview: 'M4 4h7v7H4zM13 4h7v4h-7zM13 11h7v9h-7zM4 14h7v6H4z',
  playground: 'M4 5h16v11H9l-5 4z',
  keys: 'M14.5 9.5a4 4 0 1 0-4.2 4L12 15v2h2v2h2v1h4v-3l-6-6',
  usage: 'M5 7h14M5 12h14M5 17h9',
  billing: 'M3 7h18v11H3zM3 11h18M7 15h3',
  account: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-5 4-6 8-6s7 1 8 6',
  channels: 'M4 12h6m4-6h6m-6 12h6m-10-6c3 0 2-6 4-6m-4 6c3 0 2 6 4 6',
  routes: 'M6 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 15V9a3 3 0 0 1 3-3h7M18 9v6a3 3 0 0 1-3 3H8',
  users: 'M9 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c.6-4 3-5.5 6-5.5s5.4 1.5 6 5.5M16 5.5a3.5 3.5 0 0 1 0 6.5M17 14.8c2.2.6 3.6 2.2 4 5.2',
  pricing: 'M12 3v18M16.5 7c-1-1.2-2.6-1.7-4.5-1.7-2.5 0-4.3 1.1-4.3 3.1 0 4.6 9.2 2.2 9.2 7 0 2.2-2 3.3-4.9 3.3-2.2 0-3.9-.7-5-2',
  logs: 'M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7',
  money: 'M4 19h16M7 16v-5M12 16V6M17 16v-8',
  audit: 'M12 3l8 3v6c0 5-3.5 7.5-8 9-4.5-1.5-8-4-8-9V6zM9 12l2 2 4-4',
  config: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  system: 'M4 5h16v10H4zM9 20h6M12 15v5',
  models: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M4 12H2M22 12h-2M5 5l1.5 1.5M17.5 17.5L19 19M19 5l-1.5 1.5M6.5 17.5L5 19',
  moon: 'M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z',
  copy: 'M8 8h12v12H8zM16 8V4H4v12h4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6L6 18',
  plus: 'M12 5v14M5 12h14',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20',
  warning: 'M12 4l9 16H3zM12 10v4M12 17h.01',
  download: 'M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14',
  refresh: 'M19 8a8 8 0 1 0 1 5M20 4v5h-5',
  logout: 'M10 4H5v16h5M14 8l4 4-4 4M18 12H9',
  login: 'M14 4h5v16h-5M10 8l4 4-4 4M14 12H4',
  arrow: 'M5 12h14M13 6l6 6-6 6',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  play: 'M8 5l11 7-11 7z',
  stop: 'M7 7h10v10H7z',
  down: 'M6 9l6 6 6-6',
  picture: 'M4 5h16v14H4zM4 16l4.5-4.5 4 4L16 12l4 4M9 9h.01',
  columns: 'M4 5h16v14H4zM12 5v14',
  file: 'M7 3h7l4 4v14H7zM14 3v4h4',
};

/** An icon, drawn in the colour of the text beside it. Decorative: the text says what it means. */
export function icon(name, size = 18) {
  return svg('svg', {
    viewBox: '0 0 24 24', width: size, height: size, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.8,
    'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true', class: 'icon',
  }, svg('path', { d: paths[name] ?? paths.more }));
}

const dictionaries = {};
const loading = new Map();
let current = 'en';

/** `en` or `zh`. */
export const language = () => current;
const locale = () => (current === 'zh' ? 'zh-CN' : 'en-US');
/** The tags of the languages, by which their files are named, so that the page can ask for its own at once. */
const tags = { en: 'en', zh: 'zh-CN' };

/** A choice of the person that this browser remembers; null where it remembers none. */
export function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Remembers a choice in this browser; null forgets it. Never for secrets. */
export function store(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Without storage the choice holds for this page only.
  }
}

/** The same for as long as this tab is open. */
export function remembered(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // Without storage it is asked for again.
  }
}

/** Loads the language that was chosen, or that the server read from the browser's wishes. */
export async function start() {
  const chosen = stored('language') ?? document.documentElement.lang.slice(0, 2);
  await setLanguage(chosen === 'zh' ? 'zh' : 'en', false);
}

/** @param {boolean} remember whether the person chose it: then the server is told by a cookie, for the next page's `lang` */
export async function setLanguage(name, remember = true) {
  // Only the texts of one language are loaded: both have the same keys.
  dictionaries[name] ??= { ...(await import(`../lang/${tags[name]}.js`)).default };
  current = name;
  for (const area of [...areas]) await addTexts(area);
  document.documentElement.lang = tags[name];
  formats.clear();
  if (!remember) return;
  store('language', name);
  document.cookie = `apirouter_lang=${name}; path=/; max-age=31536000; samesite=lax`;
}

const areas = new Set();

/** Adds the texts of an area that not everybody needs: `lang/en-admin.js` for administrators, `lang/en-forms.js` for what opens now and then. */
export async function addTexts(area) {
  areas.add(area);
  const texts = dictionaries[current];
  const name = `${tags[current]}-${area}`;
  // Whoever comes while they are on their way waits for them, too; what did not arrive is asked for again.
  if (!loading.has(name)) loading.set(name, import(`../lang/${name}.js`).then((module) => Object.assign(texts, module.default)));
  try {
    await loading.get(name);
  } catch (error) {
    loading.delete(name);
    throw error;
  }
}

/**
 * The text of a key in the chosen language; `{name}` is replaced by `values.name`.
 * With `values.count`, the key `….one` is used for 1 where there is one.
 */
export function t(key, values) {
  const texts = dictionaries[current];
  let text = (values?.count === 1 ? texts[`${key}.one`] : undefined) ?? texts[key];
  if (text === undefined) {
    console.error(`no text for '${key}'`);
    return key;
  }
  if (values) text = text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? shown(values[name]) : whole));
  return text;
}

const shown = (value) => (typeof value === 'number' ? number(value) : String(value));

/** Whether there is a text: for codes that come from the server. */
export const has = (key) => dictionaries[current][key] !== undefined;

/** The text of a value that the server names, or the name itself where a newer server has more of them. */
export const named = (prefix, value) => (has(`${prefix}.${value}`) ? t(`${prefix}.${value}`) : value);

// Forms

const formats = new Map();

function format(kind, make) {
  if (!formats.has(kind)) formats.set(kind, make());
  return formats.get(kind);
}

/** The reader's time zone: chosen in the account page, else the browser's. */
export const timeZone = () => stored('timeZone') ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'UTC';

export function setTimeZone(zone) {
  store('timeZone', zone);
  formats.clear();
}

export const none = '–';

/** `48,211`; a dash for null. */
export function number(value, digits = 0) {
  if (value === null || value === undefined) return none;
  return format(`n${digits}`, () => new Intl.NumberFormat(locale(), { maximumFractionDigits: digits })).format(value);
}

/** `1.2M`, for axes and tiles. */
export function short(value) {
  if (value === null || value === undefined) return none;
  if (Math.abs(value) < 10_000) return number(value, Math.abs(value) < 10 ? 1 : 0);
  return format('short', () => new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })).format(value);
}

/** A fraction as a percentage: `0.31%`. */
export function percent(fraction, digits = 1) {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return none;
  return format(`%${digits}`, () => new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits })).format(fraction);
}

/**
 * US dollars: two places from one dollar on, three significant places below, all nine places with `exact`. Amounts below are never shown as 0.
 */
export function money(value, exact = false) {
  if (value === null || value === undefined) return none;
  const size = Math.abs(value);
  let places = 2;
  if (exact) places = 9;
  else if (size > 0 && size < 1) places = Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(size))));
  return format(`$${places}`, () => new Intl.NumberFormat('en-US', {
    style: 'currency', currency: 'USD', minimumFractionDigits: exact ? 2 : Math.min(places, 2), maximumFractionDigits: places,
  })).format(value);
}

/**
 * The exact sum of amounts in dollars, which have nine places at most: counted in whole nano-dollars, not in binary fractions. A minus takes away:
 * `sumOf(charge, -cost)`. Exact up to nine million dollars.
 */
export const sumOf = (...amounts) => amounts.reduce((sum, amount) => sum + Math.round(amount * 1e9), 0) / 1e9;

/** A price per token as dollars per million tokens. */
export function perMillion(value) {
  if (value === null || value === undefined) return none;
  const price = Number((value * 1e6).toPrecision(10));
  return money(price);
}

/** `412 ms`, `1.4 s`, `2 min 3 s`. */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return none;
  if (milliseconds < 1000) return `${number(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${number(milliseconds / 1000, 1)} s`;
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((milliseconds % 60_000) / 1000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : t('unit.days', { count: Math.floor(hours / 24) });
}

/** Bytes as `1.4 MB`. */
export function bytes(value) {
  if (value === null || value === undefined) return none;
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${number(rest, rest < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

const date = (seconds, kind, options) =>
  format(`d${kind}`, () => new Intl.DateTimeFormat(locale(), { timeZone: timeZone(), ...options })).format(seconds * 1000);

/** A moment with its day, in the reader's zone: `Nov 29, 18:05:12`. */
export const moment = (seconds) => (seconds === null || seconds === undefined ? none
  : date(seconds, 'moment', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }));

export const day = (seconds) => (seconds === null || seconds === undefined ? none
  : date(seconds, 'day', { year: 'numeric', month: 'short', day: 'numeric' }));

export const dayShort = (seconds) => date(seconds, 'dayShort', { month: '2-digit', day: '2-digit' });

export const hour = (seconds) => date(seconds, 'hour', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

/** `5 minutes ago`, `in 3 days`. */
export function ago(seconds) {
  if (seconds === null || seconds === undefined) return none;
  const distance = seconds - Date.now() / 1000;
  const steps = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]];
  const [unit, size] = steps.find(([, length]) => Math.abs(distance) >= length) ?? ['second', 1];
  return format('ago', () => new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' })).format(Math.round(distance / size), unit);
}

// Times that a person chooses

/** How far the zone's clock is ahead of UTC at a moment, in seconds. */
function offset(seconds, zone) {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric',
    minute: 'numeric', second: 'numeric' })
    .formatToParts(seconds * 1000);
  const of = Object.fromEntries(parts.map((part) => [part.type, Number(part.value)]));
  return Date.UTC(of.year, of.month - 1, of.day, of.hour, of.minute, of.second) / 1000 - Math.floor(seconds);
}

/** `2026-11-29T18:05` in the reader's zone. */
export function zoned(seconds, zone = timeZone()) {
  return new Date((Number(seconds) + offset(seconds, zone)) * 1000).toISOString().slice(0, 16);
}

/** The moment that a clock of the reader's zone shows so; null where the text is no time. */
export function unzoned(text, zone = timeZone()) {
  const seconds = Date.parse(`${text}Z`) / 1000;
  if (!Number.isFinite(seconds)) return null;
  const first = seconds - offset(seconds, zone);
  // The offset at the moment itself, which is another one on days when the clocks change.
  const second = seconds - offset(first, zone);
  // A time that a clock leaves out, as midnight where summer time begins then, is the end of the gap.
  return Math.max(second, seconds - offset(second, zone));
}

/** The beginning of the day in the reader's zone, `daysBefore` days before today. */
export function dayStart(daysBefore = 0, now = Date.now() / 1000) {
  return unzoned(`${zoned(unzoned(`${zoned(now).slice(0, 10)}T12:00`) - daysBefore * 86_400).slice(0, 10)}T00:00`);
}
