// What a new gateway, or a new user, has to do first. The list goes when all is done and does not come back.

import { get } from './api.js';
import { addBalance } from './balance.js';
import { h, icon, replace } from './dom.js';
import { store, stored, t } from './i18n.js';
import { createKey } from './keys.js';
import { button, linkButton } from './ui.js';

const isReal = (channel) => channel.provider !== 'demo' && channel.status === 'on';

/** What is done already. Three small calls, and none once everything was done. */
async function state(ctx) {
  const [keys, log, channels] = await Promise.all([
    get('/api/token', { page_size: 1 }), get('/api/log/self', { before_id: 0, page_size: 1 }), ctx.may('admin') ? get('/api/channel') : [],
  ]);
  return { balance: ctx.user.balance > 0, key: keys.total > 0, call: log.items.length > 0, channel: channels.some(isReal) };
}

/**
 * The list as a card, or null when there is nothing left to do.
 * @param {() => void} onChange called when a step has changed what the page shows
 */
export async function firstSteps(ctx, onChange) {
  const name = `firstSteps:${ctx.user.id}`;
  if (stored(name) === 'done') return null;
  const done = await state(ctx);
  const list = h('ol.steps');
  const card = h('section.card.first-steps', { 'aria-labelledby': 'first-steps' }, h('div.card-head', null, h('div', null,
    h('h2', { id: 'first-steps' }, t('steps.title')), h('p.muted', null, t('steps.text'))),
  button(t('steps.hide'), { kind: 'quiet', onClick: () => finish() })), list);
  const finish = () => {
    store(name, 'done');
    card.remove();
  };
  const steps = stepsOf(ctx, done, () => {
    draw();
    onChange();
  });
  const draw = () => {
    if (steps.every((step) => done[step.name])) return finish();
    const next = steps.find((step) => !done[step.name]);
    replace(list, steps.map((step) => h('li', { class: done[step.name] ? 'done' : null },
      h('span.step-mark', null, done[step.name] ? icon('check', 16) : String(steps.indexOf(step) + 1)),
      h('div', null, h('p.step-title', null, t(`steps.${step.name}`), done[step.name] && h('span.offscreen', null, ` – ${t('steps.done')}`)),
        h('p.muted', null, t(`steps.${step.name}Text`))),
      !done[step.name] && step.action(step === next ? 'primary' : null))));
  };
  draw();
  return steps.every((step) => done[step.name]) ? null : card;
}

function stepsOf(ctx, done, changed) {
  // Only root may put money on its own account; other administrators are given some as users are.
  const money = { name: 'balance', action: (kind) => button(t('steps.balanceAction'), { kind, onClick: async () => {
    if (!(await addBalance(ctx.user.id, ctx.user.username))) return;
    done.balance = true;
    ctx.refreshUser();
    changed();
  } }) };
  const key = { name: 'key', action: (kind) => button(t('keys.create'), { kind, onClick: async () => {
    if (!(await createKey(ctx.status))) return;
    done.key = true;
    changed();
  } }) };
  return [
    ctx.may('root') && money, key,
    { name: 'call', action: (kind) => linkButton('/console/playground', t('steps.callAction'), { kind }) },
    ctx.may('admin') && { name: 'channel', action: (kind) => linkButton('/console/channels', t('steps.channelAction'), { kind }) },
  ].filter(Boolean);
}
