// Languages, and the forms of numbers, money and times in them.

const dictionaries = {};
const loaded = new Set();
let current = 'en';

/** `en` or `zh`. */
export const language = () => current;
const locale = () => (current === 'zh' ? 'zh-CN' : 'en-US');

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

/** Loads the language that was chosen, or that the server read from the browser's wishes. */
export async function start() {
  const chosen = stored('language') ?? document.documentElement.lang.slice(0, 2);
  await setLanguage(chosen === 'zh' ? 'zh' : 'en', false);
}

/** @param {boolean} remember whether the person chose it: then the server is told by a cookie, for the next page's `lang` */
export async function setLanguage(name, remember = true) {
  // Only the texts of one language are loaded: both have the same keys.
  dictionaries[name] ??= { ...(await import(`../lang/${name}.js`)).default };
  current = name;
  for (const area of [...areas]) await addTexts(area);
  document.documentElement.lang = name === 'zh' ? 'zh-CN' : 'en';
  formats.clear();
  if (!remember) return;
  store('language', name);
  document.cookie = `apirouter_lang=${name}; path=/; max-age=31536000; samesite=lax`;
}

const areas = new Set();

/** Adds the texts of an area that not everybody needs, such as `admin`: `lang/en-admin.js` and `lang/zh-admin.js`. */
export async function addTexts(area) {
  areas.add(area);
  const name = `${current}-${area}`;
  if (loaded.has(name)) return;
  loaded.add(name);
  Object.assign(dictionaries[current], (await import(`../lang/${name}.js`)).default);
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
  if (minutes < 60) return `${minutes} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
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
  return seconds - offset(first, zone);
}

/** The beginning of the day in the reader's zone, `daysBefore` days before today. */
export function dayStart(daysBefore = 0, now = Date.now() / 1000) {
  return unzoned(`${zoned(unzoned(`${zoned(now).slice(0, 10)}T12:00`) - daysBefore * 86_400).slice(0, 10)}T00:00`);
}
