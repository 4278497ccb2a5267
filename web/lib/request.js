// One model call with everything that is known of it: what it cost and why, what was tried, how long it took.

import { duration, h, has, moment, money, named, number, t } from './base.js';
import { outcomeBadge } from './table.js';
import { code, copyButton, dialog, facts, link } from './ui.js';

const endpointName = (value) => named('endpoint', value);

/**
 * Opens a row of the log in a dialog at the side.
 * @param {object} row as `GET /api/log` or `/api/log/self` tells it
 * @param {{isAdmin?: boolean}} [options] administrators see the vendor's cost, the margin, and ways to user and channel
 */
export function requestDialog(row, { isAdmin = false } = {}) {
  return dialog({ title: row.model_name || t('request.of'), side: true, content: [
    h('div.row', null, outcomeBadge(row), h('span', null, moment(row.created_at)), h('span.muted', null, endpointName(row.endpoint))),
    h('div.copy-line', null, code(row.request_id), copyButton(row.request_id, t('request.copyId'))),
    row.error_code && h('div.note.warn', null, h('div', null, h('p', null, named(has(`error.${row.error_code}`) ? 'error' : 'failure', row.error_code)),
      h('p.muted', null, code(row.error_code)))),
    h('h3', null, t('request.attempts')), attempts(row, isAdmin),
    h('h3', null, t('request.money')), charge(row, isAdmin),
    h('h3', null, t('request.tokens')), tokens(row),
    h('h3', null, t('request.course')), course(row, isAdmin),
    isAdmin && h('p', null, link(`/console/routes?${new URLSearchParams({ model: row.model_name, endpoint: row.endpoint })}`, t('request.explain'))),
  ] });
}

function attempts(row, isAdmin) {
  const list = row.attempt_list ?? [];
  if (!list.length) return h('p.muted', null, t('request.noAttempts'));
  const before = list.slice(0, -1).reduce((sum, one) => sum + one.ms, 0);
  return waterfall(list.map((one, index) => {
    const isLast = index === list.length - 1;
    // The one that answered counts to its first content; its bar goes on to the last byte.
    const ms = isLast && !one.failure ? Math.max(one.ms, row.latency_ms - before) : one.ms;
    const channel = one.channel_name ?? (one.channel_id === row.channel_id ? row.channel_name : null)
      ?? t('request.attempt', { channel: String(one.channel_id) });
    return { label: `${channel} · ${one.upstream_model}`, ms, kind: one.failure ? 'bad' : 'good', text: result(one, isAdmin) };
  }), t('request.attempts'));
}

/**
 * The attempts of a request, one below the other, each as long as it took.
 * @param {{label: string, ms: number, kind: 'good'|'bad', text: string}[]} steps in the order in which they were made
 */
function waterfall(steps, label) {
  const whole = steps.reduce((sum, step) => sum + step.ms, 0) || 1;
  let begun = 0;
  return h('ol.waterfall', { 'aria-label': label }, steps.map((step) => {
    const bar = h('span.bar', { class: step.kind, style: { marginInlineStart: `${(begun / whole) * 100}%`, width: `${Math.max(1, (step.ms / whole) * 100)}%` } });
    begun += step.ms;
    return h('li', null, h('span.step', null, step.label), h('span.track', { 'aria-hidden': 'true' }, bar), h('span.result', null, step.text));
  }));
}

function result(one, isAdmin) {
  const parts = [one.failure ? named('failure', one.failure) : null, one.status ?? t('request.noAnswer'),
    one.failure ? duration(one.ms) : `${t('request.firstContent')} ${duration(one.ms)}`];
  if (one.billed_tokens) parts.push(t('request.billed', { count: one.billed_tokens }));
  if (isAdmin && one.vendor_cost !== null && one.vendor_cost !== undefined) parts.push(money(one.vendor_cost));
  return parts.filter((part) => part !== null).join(' · ');
}

function charge(row, isAdmin) {
  const hasCost = isAdmin && row.vendor_cost !== null && row.vendor_cost !== undefined;
  return facts(
    [t('request.charge'), h('strong', null, money(row.cost, true))],
    hasCost && [t('request.upstreamCost'), money(row.vendor_cost, true)],
    hasCost && [t('request.margin'), money(row.margin, true)],
    row.uncharged > 0 && [t('request.uncharged'), money(row.uncharged, true)],
    [t('request.usageSource'), named('usageSource', row.usage_source)],
    [t('request.priceVersion'), String(row.pricing_version)],
    [t('request.serviceTier'), row.service_tier]);
}

const part = (value, name) => value > 0 && h('span.muted', null, ` · ${number(value)} ${name}`);

function tokens(row) {
  return facts(
    [t('request.prompt'), h('span', null, number(row.prompt_tokens), part(row.cached_tokens, t('request.cached')),
      part(row.cache_write_tokens, t('request.cacheWrite')), part(row.image_input_tokens, t('request.imageInput')))],
    [t('request.completion'), h('span', null, number(row.completion_tokens), part(row.reasoning_tokens, t('request.reasoning')))],
    row.images > 0 && [t('request.images'), number(row.images)],
    row.searches > 0 && [t('request.searches'), number(row.searches)],
    row.characters > 0 && [t('request.characters'), number(row.characters)],
    row.audio_milliseconds > 0 && [t('request.audio'), duration(row.audio_milliseconds)]);
}

function course(row, isAdmin) {
  const writing = row.latency_ms - (row.first_token_ms ?? 0);
  return facts(
    [t('request.firstToken'), row.first_token_ms === null ? null : duration(row.first_token_ms)],
    [t('request.latency'), duration(row.latency_ms)],
    row.is_stream && writing > 50 && row.completion_tokens > 1 && [t('request.speed'), t('request.perSecond',
      { count: Math.round(row.completion_tokens / (writing / 1000)) })],
    [t('request.streamed'), row.is_stream ? t('ui.yes') : t('ui.no')],
    [t('request.finish'), row.finish_reason && code(row.finish_reason)],
    [t('request.status'), String(row.status)],
    row.upstream_model && row.upstream_model !== row.model_name && [t('request.upstreamModel'), code(row.upstream_model)],
    [t('request.generation'), row.generation_id && code(row.generation_id)],
    [t('request.answerId'), row.answer_id && code(row.answer_id)],
    row.dropped_fields?.length > 0 && [t('request.dropped'), row.dropped_fields.map((name) => [code(name), ' '])],
    [t('field.token_id'), row.token_id === null ? t('nav.playground') : row.token_name ?? `#${row.token_id}`],
    isAdmin && [t('field.user_id'), link(`/console/users/${row.user_id}`, row.username ?? `#${row.user_id}`)],
    isAdmin && row.channel_id !== null && [t('field.channel_id'), link(`/console/channels/${row.channel_id}`, row.channel_name ?? `#${row.channel_id}`)],
    [t('request.address'), row.client_ip]);
}
