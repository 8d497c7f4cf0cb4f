export { fitRecord, type FittedRecord } from './fit-record.ts';
