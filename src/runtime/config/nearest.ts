export { nearest } from '#core/kernel';
