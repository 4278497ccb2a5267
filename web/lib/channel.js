// How channels are shown, tested and given their keys, on the list and on the page of one channel.

import { get, post, put } from './api.js';
import { duration, h, has, money, none, number, replace, t } from './base.js';
import { badge, button, dialog, facts, field, form, link, note, problem } from './ui.js';

const kinds = { on: 'good', draining: 'warn', drained: 'warn', disabled: 'bad' };

export const statusBadge = (channel) => badge(t(`channels.status.${channel.status}`), kinds[channel.status]);

/** Records of a channel that are not well, and the longest time until it is asked again. */
export function health(channel) {
  const cooling = channel.health.filter((record) => record.state !== 'closed');
  const failures = Math.max(0, ...channel.health.map((record) => record.failures));
  return { cooling, failures, wait: Math.max(0, ...cooling.map((record) => record.open_for_ms ?? 0)) };
}

export function healthSummary(channel) {
  const { cooling, failures, wait } = health(channel);
  if (cooling.length) return [badge(t('channels.cooling', { count: cooling.length }), 'warn'),
    wait > 0 && h('span.muted', null, t('channels.for', { time: duration(wait) }))];
  return failures ? h('span', null, t('channels.failures', { count: failures })) : h('span.muted', null, t('channels.healthy'));
}

/** Where a channel is declared; root can follow a file to its line. */
export function sourceOf(ctx, channel) {
  const { source } = channel;
  if (!source || source.kind === 'console') return badge(t('channels.console'));
  const text = `${source.file.split('/').at(-1)}:${source.line}`;
  return ctx.may('root') ? h('a.mono', { href: `/console/config?path=${encodeURIComponent(source.file)}&line=${source.line}` }, text) : h('code', null, text);
}

export const failureText = (name) => (has(`failure.${name}`) ? t(`failure.${name}`) : name);

// Tests

/** The result of a test call. */
export function testResult(result) {
  const figures = facts(
    [t('channels.test.model'), h('code', null, result.model === result.upstream_model ? result.model : `${result.model} → ${result.upstream_model}`)],
    [t('channels.test.status'), result.status],
    result.first_content_ms !== null && [t('channels.test.first'), duration(result.first_content_ms)],
    [t('channels.test.total'), duration(result.total_ms)],
    [t('channels.test.tokens'), result.prompt_tokens === null ? null
      : t('channels.test.inOut', { prompt: number(result.prompt_tokens), answer: number(result.completion_tokens) })],
    result.ok && [t('channels.test.charge'), result.charge === null ? t('channels.test.noPrice') : money(result.charge)],
    result.upstream_cost !== null && [t('channels.test.cost'), money(result.upstream_cost)],
  );
  if (result.ok) return h('div.stack', null, note('info', t('channels.test.worked')), figures);
  return h('div.stack', null, h('div.problem', { role: 'alert' }, h('div', null,
    h('p.problem-text', null, t('channels.test.failed', { reason: result.failure ? failureText(result.failure) : none })),
    result.detail && h('p', { lang: 'en' }, result.detail))), figures);
}

/** Tests a channel in a place of the page. A channel that was saved a moment ago may not be known for a second or two. */
export async function runTest(place, id, model, isFresh = false) {
  const mine = (tests.get(place) ?? 0) + 1;
  tests.set(place, mine);
  const show = (result) => mine === tests.get(place) && replace(place, result);
  replace(place, h('p.muted', { role: 'status' }, t('channels.test.running')), h('div.skeleton', { 'aria-hidden': 'true' }));
  for (let tries = isFresh ? 8 : 1; ; tries -= 1) {
    try {
      show(testResult(await post(`/api/channel/${id}/test`, model ? { model } : {})));
      return;
    } catch (error) {
      if ((error.status === 404 || error.status === 409) && tries > 1) {
        await new Promise((wake) => setTimeout(wake, 500));
        continue;
      }
      show(problem(error));
      return;
    }
  }
}

/** How many tests each place has seen: the last one counts, whichever ends last. */
const tests = new WeakMap();

/** A dialog that tests a channel at once, and again with another model. */
export function testDialog(channel) {
  const place = h('div', { 'aria-live': 'polite' });
  const names = channel.models.filter((name) => !name.includes('*'));
  const model = field({ label: t('channels.test.model'), name: 'model', list: names, required: false, mono: true, hint: t('channels.test.modelHint') });
  const again = form({ fields: [model], action: t('channels.test.again'), icon: 'play',
    onSubmit: (values) => runTest(place, channel.id, values.model.trim()) });
  runTest(place, channel.id);
  return dialog({ title: t('channels.test.title', { name: channel.name }), content: () => [place, again] }).closed;
}

// Keys that files name and nobody has set

/**
 * Asks for the value of a variable that a channel's file names, and tests the channel with it.
 * @param {{id: number, name: string}} channel
 */
export function secretDialog(name, channel, keyURL) {
  let isSaved = false;
  return dialog({ title: name, content: (close) => {
    const value = field({ label: t('channels.key'), name: 'value', type: 'password', required: true, mono: true, hint: t('secrets.hint') });
    setTimeout(() => value.input.focus());
    const place = h('div', { 'aria-live': 'polite' });
    const entry = form({ fields: [value], action: channel ? t('channels.saveAndTest') : t('ui.save'), cancel: () => close(), onSubmit: async (values) => {
      await put(`/api/secret/${encodeURIComponent(name)}`, { value: values.value.trim() });
      value.set('');
      isSaved = true;
      if (!channel) return close();
      entry.remove();
      const done = h('div.actions', null, button(t('channels.done'), { kind: 'primary', onClick: () => close() }));
      replace(place, h('div'), done);
      await runTest(place.firstChild, channel.id, null, true);
      done.querySelector('button').focus();
      return undefined;
    } });
    return [h('p', null, channel ? t('secrets.forChannel', { name: channel.name }) : t('secrets.forFiles')),
      keyURL && h('p', null, keyLink(keyURL)), entry, place];
    // However it was closed after that.
  } }).closed.then(() => isSaved);
}

/** The vendor's page for keys; other addresses than web ones are not linked. */
export const keyLink = (url) => /^https?:\/\//.test(url ?? '') && h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, t('channels.getKey'));

/** Above the channels: what is missing before they can be used. */
export function missingSecrets(channels, done) {
  const names = new Map();
  // A channel that its file switches off needs no key.
  for (const channel of channels.filter((one) => one.disabled_reason)) {
    for (const name of channel.missing_secrets ?? []) if (!names.has(name)) names.set(name, channel);
  }
  return [...names].map(([name, channel]) => h('div.note.warn.missing', null,
    h('div', null, t('channels.notSet', { name }), ' ', h('span.muted', null, t('channels.notSetFor', { name: channel.name }))),
    button(t('channels.pasteKey'), { icon: 'keys', onClick: async () => {
      // Where its vendor gives keys, if anybody has said so.
      const provider = await get(`/api/provider/${encodeURIComponent(channel.provider)}`).catch(() => null);
      if (await secretDialog(name, channel, provider?.key_url)) await done();
    } })));
}

// Actions

/** Enables, disables or drains; answers the channel's new state. */
export const setState = (channel, action) => post(`/api/channel/${channel.id}/${action}`);

export const channelName = (channel) => h('span', null, link(`/console/channels/${channel.id}`, channel.name),
  h('span.muted', null, `#${channel.id} · ${channel.display ?? channel.provider}`));
