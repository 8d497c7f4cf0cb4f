export { fitRecord, type FittedRecord } from './fit-record.ts';
export { DAY_MS, rollUp, type UsageTotals } from './roll-up.ts';
