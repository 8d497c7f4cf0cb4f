// `node bench/top-functions.ts FILE.cpuprofile [count]`: where the time went, by module and by function, idle time left out.
import { readFileSync } from 'node:fs';
import { formatTable } from './report/table.ts';
import { cpuProfileSchema, selfTimes } from './stats/cpu-profile.ts';

const [, , file, count = '40'] = process.argv;
if (file === undefined) throw new Error('usage: node bench/top-functions.ts FILE.cpuprofile [count]');

const times = selfTimes(cpuProfileSchema.parse(JSON.parse(readFileSync(file, 'utf8'))));
const totalUs = times.reduce((sum, { selfUs }) => sum + selfUs, 0);
const byModule = new Map<string, number>();
for (const { module, selfUs } of times) byModule.set(module, (byModule.get(module) ?? 0) + selfUs);
const cells = (selfUs: number): readonly string[] => [(selfUs / 1000).toFixed(0), `${((selfUs / totalUs) * 100).toFixed(1)}%`];

const modules = [...byModule].sort(([, a], [, b]) => b - a).map(([module, selfUs]) => [module, ...cells(selfUs)]);
const functions = times.map(({ module, name, selfUs }) => [`${name}  ${module}`, ...cells(selfUs)]);
for (const line of formatTable(['module', 'self ms', 'share'], modules.slice(0, Number(count)))) console.log(line);
console.log('');
for (const line of formatTable(['function', 'self ms', 'share'], functions.slice(0, Number(count)))) console.log(line);
