export { fitRecord } from './fit-record.ts';
export { DAY_MS, rollUp } from './roll-up.ts';
