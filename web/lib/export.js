// Moved to table.js. For pages that do not know it yet.
export { exportButton } from './table.js';
