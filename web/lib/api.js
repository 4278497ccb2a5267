// Calls of the management API: one place that knows its answers, its errors and its session.

import { has, t } from './base.js';

/** An error that the server described, or that kept it from answering. */
export class ApiError extends Error {
  constructor(status, body, requestId) {
    super(body?.message || body?.error?.message || `HTTP ${status}`);
    this.status = status;
    this.code = body?.code ?? body?.error?.code ?? body?.error?.type ?? (status === 0 ? 'unreachable' : 'internal');
    this.details = body?.details ?? null;
    this.requestId = requestId;
  }

  /** The text for a person, in their language. */
  get text() {
    const key = `error.${this.code}`;
    if (!has(key)) return this.message;
    const field = this.details?.field;
    const label = field && (has(`field.${field}`) ? t(`field.${field}`) : field);
    return t(key, { ...this.details, field: label ?? '', expected: expectedText(this.details?.expected) });
  }
}

/** Allowed values as they are; a kind, and bounds such as `min:1`, in words. */
function expectedText(expected) {
  if (!Array.isArray(expected)) return expected ?? '';
  return expected.map((code) => {
    const [, name, value] = /^([a-z_]+):(.*)$/.exec(code) ?? [null, code];
    const key = `expected.${name}`;
    return has(key) ? t(key, { value: /^\d+$/.test(value) ? Number(value) : value ?? '' }) : code;
  }).join(t('expected.and'));
}

/** The gateway was not reached, or the connection broke while it answered. */
export const unreachable = (requestId = null) => new ApiError(0, { message: t('error.unreachable'), code: 'unreachable' }, requestId);

/** Reads from an answer; what breaks off is no fault of the gateway's. */
async function reading(work, requestId) {
  try {
    return await work();
  } catch (error) {
    throw error.name === 'AbortError' ? error : unreachable(requestId);
  }
}

/** The reactions to a lost session and a demanded password: set by the application, so that pages need not know. */
export const guards = { login: null, password: null };

function address(path, query) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== '') parameters.set(key, value);
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

async function send(method, path, { query, body, headers, signal } = {}) {
  const options = { method, headers: { Accept: 'application/json', ...headers }, signal, credentials: 'same-origin', cache: 'no-store' };
  if (body !== undefined) options.body = JSON.stringify(body);
  if (method !== 'GET') options.headers['Content-Type'] = 'application/json';
  try {
    return await fetch(address(path, query), options);
  } catch (error) {
    throw error.name === 'AbortError' ? error : unreachable();
  }
}

async function failure(response) {
  const body = await response.json().catch(() => null);
  return new ApiError(response.status, body, response.headers.get('x-request-id'));
}

/** Answers again after the person has logged in, or given the password, when that is what the server asks for. */
async function guarded(attempt, quiet) {
  let isOpened = false;
  for (;;) {
    const response = await attempt();
    if (response.ok) return response;
    const error = await failure(response);
    if (quiet) throw error;
    if (error.code === 'playground_closed' && !isOpened) {
      isOpened = true;
      await post('/api/playground/open');
      continue;
    }
    if (error.status === 401 && error.code !== 'wrong_credentials' && guards.login && (await guards.login())) continue;
    if (error.code === 'password_again' && guards.password && (await guards.password())) continue;
    throw error;
  }
}

async function call(method, path, options = {}) {
  const response = await guarded(() => send(method, path, options), options.quiet);
  const body = await reading(() => response.json());
  return options.whole ? { data: body.data, headers: response.headers } : body.data;
}

/** @param {object} [options] `signal`; `quiet: true` leaves 401 to the caller; `whole: true` answers the headers too */
export const get = (path, query, options) => call('GET', path, { ...options, query });
export const post = (path, body = {}, options) => call('POST', path, { ...options, body });
export const put = (path, body = {}, options) => call('PUT', path, { ...options, body });
export const del = (path, options) => call('DELETE', path, { ...options, body: {} });

/**
 * Posts a model call and reads its stream.
 * @param {(event: object) => void} take called with each event of the stream, or once with the whole answer
 * @param {(about: {requestId: string|null, dropped: string|null}) => void} [begun] called when the answer begins
 * @returns {Promise<{requestId: string|null, dropped: string|null}>}
 */
export async function stream(path, body, take, signal, begun) {
  const response = await guarded(() => send('POST', path, { body, signal, headers: { Accept: 'text/event-stream, application/json' } }));
  const about = { requestId: response.headers.get('x-request-id'), dropped: response.headers.get('x-dropped-fields') };
  begun?.(about);
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
    take(await reading(() => response.json(), about.requestId));
    return about;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reading(() => reader.read(), about.requestId);
    if (done) return about;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice(5).trim();
      if (data === '[DONE]') continue;
      const event = JSON.parse(data);
      if (event.error) throw new ApiError(response.status, event, about.requestId);
      take(event);
    }
  }
}

/**
 * Loads a file of rows and hands it to the browser as a download.
 * @param {(fraction: number|null) => void} progress
 */
export async function download(path, query, name, progress, signal) {
  const response = await guarded(() => send('GET', path, { query, signal, headers: { Accept: 'text/csv' } }));
  const expected = Number(response.headers.get('x-row-count')) || null;
  const reader = response.body.getReader();
  const parts = [];
  let rows = 0;
  for (;;) {
    const { value, done } = await reading(() => reader.read());
    if (done) break;
    parts.push(value);
    for (const byte of value) if (byte === 10) rows += 1;
    progress?.(expected ? Math.min(1, rows / expected) : null);
  }
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(parts, { type: 'text/csv' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
