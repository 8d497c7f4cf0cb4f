export { takeOne, type RateMeter } from './rate-meter.ts';
