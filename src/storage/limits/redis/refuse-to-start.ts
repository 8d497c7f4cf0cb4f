/** Why limits over this store would silently not apply, or might not: then the gateway does not start. */
export interface RefuseToStart {
  readonly kind:
    | 'bad_url'
    | 'unreachable'
    | 'not_authorized'
    /** One node of a cluster was given as if it were alone: keys of other slots would fail. */
    | 'is_cluster'
    | 'is_not_cluster'
    | 'read_only'
    /** Counters could be dropped for want of memory, and with them what was used. */
    | 'evicts'
    | 'too_old'
    | 'scripts_refused'
    /** A request over a limit was not refused. */
    | 'limits_do_not_hold'
    /** Never a pass. */
    | 'could_not_tell';
  readonly message: string;
}

/** What is tested; it sends what a script did, not the script, to its replicas. */
const MAJOR_MIN = 7;

/**
 * What a server says of itself, judged.
 * @param info - the text of INFO
 * @param place - where it is, for the message; without credentials
 * @returns why limits would not hold there; null when they would
 */
export function judgeServer(info: string, { isCluster, place }: { isCluster: boolean; place: string }): RefuseToStart | null {
  const said = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const mode = said('redis_mode') ?? said('server_mode');
  const role = said('role');
  const policy = said('maxmemory_policy');
  const memoryMax = said('maxmemory');
  const version = said('redis_version');
  if (mode === undefined || role === undefined || policy === undefined || memoryMax === undefined || version === undefined)
    return { kind: 'could_not_tell', message: `${place} does not say its mode, role, version and eviction policy in INFO` };
  if (Number.parseInt(version, 10) < MAJOR_MIN)
    return { kind: 'too_old', message: `${place} runs ${version}; limits need Redis ${MAJOR_MIN} or Valkey` };
  if (mode === 'cluster' && !isCluster)
    return { kind: 'is_cluster', message: `${place} is a node of a cluster: write redis-cluster://host:port,host:port` };
  if (mode !== 'cluster' && isCluster)
    return { kind: 'is_not_cluster', message: `${place} is not a cluster (${mode}): write redis://host:port` };
  if (mode !== 'cluster' && mode !== 'standalone')
    return { kind: 'could_not_tell', message: `${place} runs in a mode that is not known here: ${mode}` };
  if (role !== 'master') return { kind: 'read_only', message: `${place} is a replica (role ${role}), which cannot count` };
  if (memoryMax !== '0' && policy !== 'noeviction')
    return {
      kind: 'evicts',
      message: `${place} may drop counters when its memory is full: maxmemory-policy is ${policy}, not noeviction`,
    };
  return null;
}
