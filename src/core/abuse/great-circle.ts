/** Where something is, in degrees. */
export interface Coordinates {
  readonly latitude: number;
  readonly longitude: number;
}

const EARTH_RADIUS_KM = 6371.0088;

/**
 * The shortest way over the ground, in km.
 * Source: the haversine formula, on a sphere of the earth's mean radius: within 0.6 % of the ellipsoid.
 */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const radians = Math.PI / 180;
  const rise = Math.sin(((b.latitude - a.latitude) * radians) / 2);
  const run = Math.sin(((b.longitude - a.longitude) * radians) / 2);
  const half = rise * rise + Math.cos(a.latitude * radians) * Math.cos(b.latitude * radians) * run * run;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(half)));
}

export type Movement =
  /** Near, or slow enough. */
  | { readonly kind: 'plausible' }
  /** Faster than anything flies. */
  | { readonly kind: 'impossible'; readonly kmPerHour: number }
  /** It began there before what it did here had ended: no movement at all. */
  | { readonly kind: 'two_places' };

/** Nearer than this is the same place: tables of addresses are often wrong by as much. */
const DISTANCE_KM_MIN = 500;
/** Airliners do 900. */
const SPEED_KM_PER_HOUR_MAX = 1_000;
/** A movement takes at least this long, so that two requests of one minute give no absurd speed. */
const TIME_MS_MIN = 60_000;

/**
 * What it takes to have been in one place and then in another.
 * @param leftMs - when it was last known to be at `from`
 * @param arrivedMs - when it began at `to`; before `leftMs` when it was at both at once
 */
export function judgeMovement({
  from,
  leftMs,
  to,
  arrivedMs,
}: {
  readonly from: Coordinates;
  readonly leftMs: number;
  readonly to: Coordinates;
  readonly arrivedMs: number;
}): Movement {
  const distance = distanceKm(from, to);
  if (distance < DISTANCE_KM_MIN) return { kind: 'plausible' };
  if (arrivedMs < leftMs) return { kind: 'two_places' };
  const kmPerHour = Math.round((distance * 3_600_000) / Math.max(TIME_MS_MIN, arrivedMs - leftMs));
  return kmPerHour > SPEED_KM_PER_HOUR_MAX ? { kind: 'impossible', kmPerHour } : { kind: 'plausible' };
}
