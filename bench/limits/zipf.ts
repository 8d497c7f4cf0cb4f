/**
 * Draws one of `count` things, the first most often: the n-th with a weight of n to the power of −`exponent`.
 * @param uniform - a draw from 0 to below 1
 */
export function createZipf(count: number, exponent: number): (uniform: number) => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let at = 0; at < count; at++) sums[at] = sum += (at + 1) ** -exponent;
  return (uniform) => {
    const wanted = uniform * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
