/**
 * The one script of the shared store: every meter of a request in one atomic step, all or nothing.
 *
 * Numbers are Lua doubles holding whole numbers below 2^53, the same that `core/limits` computes with, so both decide alike.
 * Time is the server's own, so gateways need not agree about it. A clock that steps back refills nothing and locks nobody out for
 * longer: what a meter holds is moved to the new time. One that leaps forward refills at most what a meter can hold.
 *
 * What a field of a subject's hash holds, by the kind of its meter:
 * - a rate: the byte 1 and the doubles *ahead, at, burst, shrink*: ticks ahead of the clock at `at` (µs), under a burst of so many
 *   ticks. While `shrink` is in force, shares taken in advance may still be spent, up to a lease after they were charged:
 *   everything is then held to the burst less a lease's refill, so that what is spent late still conforms to the whole burst
 *   (the cell delay variation of I.371). It ends when the meter has been full for a lease.
 * - a day or month: the byte 2 or 3 and the doubles *count, period*: units counted in a UTC day or month.
 * - places: the text *gateway count expires …*: as each gateway holds them, until `expires` (µs).
 * Doubles as they are: written as text they cost a quarter of the script.
 *
 * Source: GCRA, ITU-T I.371; civil dates by H. Hinnant, "chrono-compatible low-level date algorithms".
 */
export const METER_SCRIPT = String.raw`
-- KEYS: a hash for each group of meters; for settle, one more at the end: which step of this id was applied last.
-- ARGV: what, now in µs or '', gateway, frame, numbers, then a field name for each meter. Frame and numbers: little-endian doubles.
-- what: take (all or nothing), settle (signed, unasked), hold (places as counted by the gateway), peek.
-- frame: what is said of all meters, then a wish for each; '' when only rates are taken, and nothing is wished for.
local what, now, gateway, frame, numbers = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local NAMES = 5
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local groups, cursor = what == 'settle' and #KEYS - 1 or #KEYS, 1

local KEEP_US = 10000000
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local struct_unpack = struct.unpack
local UNLIMITED, RATE, DAY, MONTH, PLACES = 0, 1, 2, 3, 4
local DRY, METERED = 8, 16

-- A key is kept to the end of the 10 s in which its last meter comes to mean nothing, so that most writes need not say so again,
-- nor ask how long it lives: an eighth of a decision over four subjects.
local function keep(key, end_us)
  local life_ms = ceil((end_us - end_us % KEEP_US + KEEP_US - now) / 1000) + 1000
  -- Other fields of the hash may live longer.
  if redis.call('PTTL', key) < life_ms then redis.call('PEXPIRE', key, string.format('%d', life_ms)) end
end

-- The common case by itself, before all else: rates that take what is asked, with nothing to hand out, no share that may be spent
-- late and no clock or limit that changed. It makes none of the tables and functions below, which take as long as all the rest.
-- Anything else it leaves to them, having written nothing.
local function take_rates()
  local reply, writes, ends = { -1, 0 }, {}, {}
  local place = 0
  for group = 1, groups do
    local count
    count, cursor = struct_unpack('<d', numbers, cursor)
    local texts = redis.call('HMGET', KEYS[group], unpack(ARGV, NAMES + place + 1, NAMES + place + count))
    local fields, top, longest = { 'HSET', KEYS[group] }, 2, 0
    for of = 1, count do
      place = place + 1
      local mode, _, burst, step_us, per_step, per_unit, cost
      mode, _, burst, step_us, per_step, per_unit, cost, cursor = struct_unpack('<ddddddd', numbers, cursor)
      local burst_ticks, ticks, ahead, text = burst * per_unit, cost * per_unit, 0, texts[of]
      local at, was_end = 0, 0
      if text then
        if #text ~= 33 then return end
        local kind, was, of_burst, shrink
        kind, was, at, of_burst, shrink = struct_unpack('<Bdddd', text)
        local passed_us = now - at
        if kind ~= RATE or passed_us < 0 or of_burst ~= burst_ticks or shrink ~= 0 then return end
        ahead = was - (passed_us - passed_us % step_us) / step_us * per_step
        if ahead < 0 then ahead = 0 end
        was_end = at + was / per_step * step_us
      end
      if ahead + ticks > burst_ticks or mode >= METERED and ahead + per_unit > burst_ticks then return end
      if ticks > 0 then
        ahead = ahead + ticks
        at = now - now % step_us
        fields[top + 1], fields[top + 2] = ARGV[NAMES + place], struct.pack('<Bdddd', RATE, ahead, at, burst_ticks, 0)
        top = top + 2
        local end_us = at + ahead / per_step * step_us
        if end_us > longest and end_us - end_us % KEEP_US > was_end then longest = end_us end
      end
      reply[2 + place] = ahead
    end
    writes[group], ends[group] = fields, longest
  end
  for group = 1, groups do
    if #writes[group] > 2 then redis.call(unpack(writes[group])) end
    if ends[group] > 0 then keep(KEYS[group], ends[group]) end
  end
  return reply
end

if frame == '' then
  local reply = take_rates()
  if reply then return reply end
  cursor = 1
end

local DAY_US = 86400000000
local PLACE_WAIT_US = 1000000
-- How long a settlement is remembered: longer than any request lives, and than one is retried.
local MEMORY_MS = '3600000'
local step, lease_us, places_lease_us, gateways, age_us, wishes = 0, 0, 0, 1, 0, 1
if frame ~= '' then step, lease_us, places_lease_us, gateways, age_us, wishes = struct.unpack('<ddddd', frame) end

local function first_day_of(month)
  local year, of_year = floor(month / 12), month % 12 + 1
  if of_year <= 2 then year = year - 1 end
  local era = floor(year / 400)
  local year_of_era = year - era * 400
  local from_march = of_year > 2 and of_year - 3 or of_year + 9
  local day = floor((153 * from_march + 2) / 5)
  return era * 146097 + year_of_era * 365 + floor(year_of_era / 4) - floor(year_of_era / 100) + day - 719468
end

local function month_of(day)
  local shifted = day + 719468
  local era = floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  local from_march = floor((5 * of_year + 2) / 153)
  local month = from_march < 10 and from_march + 3 or from_march - 9
  if month <= 2 then year = year + 1 end
  return (year + era * 400) * 12 + month - 1
end

local function period_of(kind, at)
  local day = floor(at / DAY_US)
  return kind == DAY and day or month_of(day)
end

local function start_of(kind, period)
  return (kind == DAY and period or first_day_of(period)) * DAY_US
end

local function ahead_max(m) return m.burst_ticks + m.limit * m.per_unit end
local function steps_of(m, ticks) return ceil(ticks / m.per_step) end

-- Reading: what each meter holds now.

local function read_rate(m, text)
  if #text ~= 33 then return end
  local kind, ahead, at, burst, shrink = struct.unpack('<Bdddd', text)
  if kind ~= RATE then return end
  if burst ~= m.burst_ticks then
    -- Another limit than when this was written: the same share of the burst is used, rounded against the caller.
    ahead, shrink = ceil(ahead / burst * m.burst_ticks), ceil(shrink / burst * m.burst_ticks)
  end
  ahead = min(ahead, ahead_max(m))
  if now < at then m.is_moved, at = true, now end
  local passed = floor((now - at) / m.step_us)
  m.ahead = max(0, ahead - passed * m.per_step)
  if shrink > 0 then
    m.shrunk_steps = steps_of(m, ahead) + steps_of(m, shrink) - passed
    if m.shrunk_steps > 0 then m.shrink = shrink end
  end
end

local function read_count(m, text)
  m.period = period_of(m.kind, now)
  if #text ~= 17 then return end
  local kind, count, period = struct.unpack('<Bdd', text)
  if kind ~= m.kind or period < m.period then return end
  m.ahead = count
  if period > m.period then
    -- The clock stepped back over midnight: it goes on counting where it was. Further back, it was the leap that was wrong.
    if start_of(m.kind, period) - now <= DAY_US then m.period = period else m.is_moved = true end
  end
end

local function read_places(m, text)
  m.others = {}
  for name, count, expires in string.gmatch(text, '(%S+) (%d+) (%d+)') do
    count, expires = tonumber(count), tonumber(expires)
    if expires > now + places_lease_us then m.is_moved, expires = true, now + places_lease_us end
    if expires > now then
      m.ahead = m.ahead + count
      if name == gateway then m.own = count
      else m.others[#m.others + 1] = string.format('%s %d %d', name, count, expires) end
    end
  end
end

local function read(m, text)
  text = text or ''
  if m.kind == RATE then read_rate(m, text)
  elseif m.kind == DAY or m.kind == MONTH then read_count(m, text)
  elseif m.kind == PLACES then read_places(m, text)
  end
end

-- Deciding: µs until a meter takes what is asked; 0 when it does now, -1 when it never can.

local function wait_of(m)
  local need = m.is_metered and max(1, m.cost) or m.cost
  if m.kind == RATE then
    if need > m.burst then return -1 end
    local ticks, tolerance = need * m.per_unit, m.burst_ticks - m.shrink
    local over = m.ahead + ticks - tolerance
    if over <= 0 then return 0 end
    -- More than the shrunk burst at once must wait until no share can be spent late any more.
    local steps = ticks > tolerance and m.shrunk_steps or steps_of(m, over)
    return steps * m.step_us - now % m.step_us
  elseif m.kind == DAY or m.kind == MONTH then
    if m.ahead + need <= m.limit then return 0 end
    return need > m.limit and -1 or start_of(m.kind, m.period + 1) - now
  elseif m.kind == PLACES then
    if m.ahead + need <= m.limit then return 0 end
    return need > m.limit and -1 or PLACE_WAIT_US
  end
  return 0
end

-- Units to hand out in advance: what is wished for, and never more than an even part of half of what is left.
local function share_of(m, left)
  return max(0, min(m.wish, floor(left / (2 * gateways))))
end

-- Changing: each leaves in m what is to be written.

local function add(m, units)
  if units == 0 or m.kind == UNLIMITED then return end
  m.is_changed = true
  if m.kind == RATE then
    local most = ceil(ahead_max(m) / m.per_unit)
    m.ahead = min(ahead_max(m), max(0, m.ahead + max(-most, min(most, units)) * m.per_unit))
  elseif m.kind == PLACES then
    local own = max(0, m.own + units)
    m.ahead, m.own = m.ahead + own - m.own, own
  elseif m.kind == DAY or m.kind == MONTH then
    -- Units of a period that is over are not given back to the next.
    if units < 0 and period_of(m.kind, now - age_us) ~= m.period then return end
    m.ahead = max(0, m.ahead + units)
  end
end

local function hand_out(m)
  if m.wish <= 0 then return end
  if m.kind == RATE then
    local shrink = max(m.shrink, ceil(lease_us / m.step_us) * m.per_step)
    m.granted = share_of(m, floor((m.burst_ticks - shrink - m.ahead) / m.per_unit))
    if m.granted > 0 then m.shrink = shrink end
  elseif m.kind == PLACES then
    m.granted = share_of(m, m.limit - m.ahead)
  elseif (m.kind == DAY or m.kind == MONTH) and start_of(m.kind, m.period + 1) - now > lease_us then
    m.granted = share_of(m, m.limit - m.ahead)
  end
  add(m, m.granted)
end

-- Writing: the value of a field, and for how many µs it means anything.

local function written(m)
  if m.kind == RATE then
    return struct.pack('<Bdddd', RATE, m.ahead, now - now % m.step_us, m.burst_ticks, m.shrink),
      (steps_of(m, m.ahead) + steps_of(m, m.shrink)) * m.step_us
  elseif m.kind == PLACES then
    if m.own > 0 then m.others[#m.others + 1] = string.format('%s %d %d', gateway, m.own, now + places_lease_us) end
    return table.concat(m.others, ' '), places_lease_us
  end
  -- A day more than its period, for a clock that steps back over its end.
  return struct.pack('<Bdd', m.kind, m.ahead, m.period), start_of(m.kind, m.period + 1) - now + DAY_US
end

local function write(key, first, last, meters)
  local pairs_of, life_us = {}, 0
  for place = first, last do
    local m = meters[place]
    if m.is_changed or m.is_moved then
      local text, us = written(m)
      pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = ARGV[NAMES + place], text
      life_us = max(life_us, us)
    end
  end
  if #pairs_of == 0 then return end
  redis.call('HSET', key, unpack(pairs_of))
  keep(key, now + life_us)
end

local last_of = {}
local meters = {}
local total = 0
local first = 1
for group = 1, groups do
  local count
  count, cursor = struct.unpack('<d', numbers, cursor)
  total = total + count
  last_of[group] = total
  local texts = redis.call('HMGET', KEYS[group], unpack(ARGV, NAMES + first, NAMES + last_of[group]))
  for place = first, last_of[group] do
    local mode, limit, burst, step_us, per_step, per_unit, cost
    mode, limit, burst, step_us, per_step, per_unit, cost, cursor = struct.unpack('<ddddddd', numbers, cursor)
    local wish = 0
    if frame ~= '' then wish, wishes = struct.unpack('<d', frame, wishes) end
    -- All that a meter may hold, so that the table is made once and does not grow.
    local m = {
      kind = mode % DRY, is_dry = mode % METERED >= DRY, is_metered = mode >= METERED, limit = limit, burst = burst,
      step_us = step_us, per_step = per_step, per_unit = per_unit, cost = cost, wish = wish,
      burst_ticks = burst * per_unit, ahead = 0, shrink = 0, shrunk_steps = 0, granted = 0,
      is_changed = false, is_moved = false, is_dry_refusal = false, period = 0, own = 0, others = false,
    }
    read(m, texts[place - first + 1])
    meters[place] = m
  end
  first = last_of[group] + 1
end

local refused_by, longest = -1, 0
if what == 'take' then
  for place = 1, total do
    local m = meters[place]
    local wait = wait_of(m)
    if wait ~= 0 and m.is_dry then m.is_dry_refusal = true
    elseif wait ~= 0 and longest ~= -1 and (wait == -1 or wait > longest) then refused_by, longest = place - 1, wait end
  end
  if refused_by == -1 then
    for place = 1, total do
      local m = meters[place]
      if m.is_dry_refusal then m.granted = -1 else
        add(m, m.cost)
        hand_out(m)
      end
    end
  end
elseif what == 'hold' then
  for place = 1, total do
    local m = meters[place]
    if m.kind == PLACES then m.is_changed = true; add(m, m.cost - m.own) end
  end
elseif what == 'settle' then
  local memory = KEYS[groups + 1]
  if tonumber(redis.call('GET', memory) or 0) < step then
    redis.call('SET', memory, string.format('%d', step), 'PX', MEMORY_MS)
    for place = 1, total do add(meters[place], meters[place].cost) end
  end
end

if what ~= 'peek' then
  first = 1
  for group = 1, groups do
    write(KEYS[group], first, last_of[group], meters)
    first = last_of[group] + 1
  end
end

-- Who refuses (-1: nobody), its wait, then the state of each meter, then what each handed out (-1: a dry run would have refused;
-- without, nobody was handed out anything).
local reply = { refused_by, longest }
for place = 1, total do
  reply[2 + place], reply[2 + total + place] = meters[place].ahead, meters[place].granted
end
return reply
`;

/** Says that a gateway lives, and counts those that do. The second answer is 0 when the store had not heard of it before. */
export const BEAT_SCRIPT = String.raw`
-- KEYS: the gateways, by when they were heard. ARGV: now in µs or '', gateway, µs for which a beat counts.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local life_us = tonumber(ARGV[3])
local is_known = redis.call('ZSCORE', KEYS[1], ARGV[2]) and 1 or 0
redis.call('ZADD', KEYS[1], string.format('%d', now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%d', now - life_us))
-- Beats of a clock that has stepped back since.
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%d', now), '+inf')
redis.call('PEXPIRE', KEYS[1], string.format('%d', life_us / 1000 + 1000))
return { redis.call('ZCARD', KEYS[1]), is_known }
`;
