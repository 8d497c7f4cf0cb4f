import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTraceparent } from './traceparent.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));

test('a valid traceparent keeps its ids, and its last flag says whether it is sampled', () => {
  fc.assert(
    fc.property(hex(32), hex(16), fc.nat(255), (traceId, spanId, flags) => {
      fc.pre(!/^0+$/.test(traceId) && !/^0+$/.test(spanId));
      expect(parseTraceparent(`00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`)).toEqual({
        traceId,
        spanId,
        isSampled: flags % 2 === 1,
      });
    }),
  );
});

test.each([
  ['no header', null],
  ['an empty header', ''],
  ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['version ff', `ff-${TRACE}-${SPAN}-01`],
  ['more than version 00 has', `00-${TRACE}-${SPAN}-01-what`],
  ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['two headers in one', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
  ['a header without end', `01-${TRACE}-${SPAN}-01-${'x'.repeat(10_000)}`],
])('%s is no traceparent', (_, header) => {
  expect(parseTraceparent(header)).toBeNull();
});

test('a later version may say more after the flags', () => {
  expect(parseTraceparent(`01-${TRACE}-${SPAN}-01-what`)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
});
