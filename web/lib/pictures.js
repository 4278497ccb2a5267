// Pictures that are sent along: as data URLs in the page's memory, and with a bound.

import { h, replace } from './dom.js';
import { bytes, t } from './i18n.js';
import { button, toast } from './ui.js';

const largest = 4_000_000;
const most = 4;

const read = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** A button to choose pictures and the row of those that are chosen. */
export function pictures() {
  let urls = [];
  const chosen = h('div.pictures', { 'aria-live': 'polite' });
  const input = h('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp,image/gif', multiple: true, hidden: true,
    'aria-label': t('playground.addPicture'), on: {
    change: async () => {
      await add([...input.files]);
      input.value = '';
    },
  } });
  const draw = () => replace(chosen, urls.map((url, index) => h('div.picture', null, h('img',
    { src: url, alt: t('playground.picture', { number: index + 1 }) }),
    button('', { icon: 'close', title: t('playground.removePicture', { number: index + 1 }), onClick: () => {
      urls = urls.filter((one) => one !== url);
      draw();
    } }))));
  async function add(files) {
    for (const file of files.filter((one) => one.type.startsWith('image/'))) {
      if (file.size > largest) toast(t('playground.pictureTooLarge', { name: file.name, bound: bytes(largest) }), 'bad');
      else if (urls.length >= most) toast(t('playground.tooManyPictures', { count: most }), 'bad');
      else urls = [...urls, await read(file)];
    }
    draw();
  }
  return {
    chosen, input, add, button: button('', { icon: 'picture', kind: 'quiet', title: t('playground.addPicture'), onClick: () => input.click() }),
    take() {
      const taken = urls;
      urls = [];
      draw();
      return taken;
    },
  };
}
