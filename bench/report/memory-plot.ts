/** One line of a plot: a name, a color, and values over minutes. */
export interface PlotLine {
  readonly name: string;
  readonly color: string;
  readonly points: readonly { readonly minute: number; readonly value: number }[];
}

const WIDTH = 960;
const HEIGHT = 420;
const LEFT = 64;
const RIGHT = 150;
const TOP = 40;
const BOTTOM = 40;
const TICKS = 5;

/** Memory over time as an SVG: the axis starts at zero, so that a small slope does not look like a large one. */
export function plotMemory(title: string, lines: readonly PlotLine[]): string {
  const points = lines.flatMap((line) => line.points);
  const minutes = Math.max(1e-9, ...points.map(({ minute }) => minute));
  const top = niceCeiling(Math.max(1, ...points.map(({ value }) => value)));
  const x = (minute: number): number => LEFT + (minute / minutes) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const text = (atX: number, atY: number, anchor: string, content: string, color = '#444'): string =>
    `<text x="${atX.toFixed(1)}" y="${atY.toFixed(1)}" text-anchor="${anchor}" fill="${color}">${escapeXml(content)}</text>`;
  const grid = Array.from({ length: TICKS + 1 }, (_, tick) => {
    const value = (top * tick) / TICKS;
    const minute = (minutes * tick) / TICKS;
    return [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#ddd"/>`,
      text(LEFT - 8, y(value) + 4, 'end', String(Math.round(value))),
      text(x(minute), HEIGHT - BOTTOM + 18, 'middle', minute.toFixed(1)),
    ].join('');
  });
  const drawn = lines.map(({ name, color, points: own }, index) => {
    const path = own.map(({ minute, value }) => `${x(minute).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>${text(WIDTH - RIGHT + 12, TOP + 20 * index + 12, 'start', name, color)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, 'start', title, '#111'),
    ...grid,
    ...drawn,
    text(LEFT - 8, TOP - 8, 'end', 'MiB'),
    text(WIDTH - RIGHT, HEIGHT - 6, 'end', 'minutes'),
    '</svg>\n',
  ].join('\n');
}

/** The next 1, 2, 2.5 or 5 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
