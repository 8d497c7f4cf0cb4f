export { costMicroUsd, type Price } from './cost.ts';
