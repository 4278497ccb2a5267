// Money that an administrator puts on an account.

import { post } from './api.js';
import { money, t } from './base.js';
import { choices, field, formDialog, toast } from './ui.js';

/**
 * Asks how much and adds it. Twice pressed, or sent again after a lost answer, it counts once.
 * @returns {Promise<object|undefined>} the ledger's row; undefined when nothing was added
 */
export async function addBalance(userId, username) {
  const key = `console-${crypto.getRandomValues(new Uint32Array(3)).join('-')}`;
  const amount = field({ label: t('balance.amount'), name: 'amount', type: 'number', value: 10, step: 'any', required: true });
  amount.input.addEventListener('input', () => presets.choose(null));
  const presets = choices(t('balance.presets'), [5, 10, 20, 50, 100].map((value) => [value, money(value)]), 10, (value) => amount.set(value));
  const row = await formDialog({
    title: t('balance.addTo', { name: username }), action: t('balance.add'),
    fields: [presets, amount, field({ label: t('field.description'), name: 'description', required: false, maxlength: 500 })],
    // The text of the input, because a binary fraction is no exact amount.
    onSubmit: (values) => post('/api/balance/admin/add', { user_id: userId, amount: amount.input.value, description: values.description || undefined },
      { headers: { 'Idempotency-Key': key } }),
  });
  if (row) toast(t('balance.added', { amount: money(row.amount ?? amount.value()) }));
  return row;
}
