/// The Lua scripts that are the hot copy's transactions. Each runs alone in the server.
///
/// Keys of one stream share a hash tag, so they live on one node of a cluster:
///
///     sc:{clicks_1:1:0}:head           stamp, slot, epoch, builder
///     sc:{clicks_1:1:0}:slot           counter of slots
///     sc:{clicks_1:1:0}:slots          slots that exist
///     sc:{clicks_1:1:0}:3.7:build      while slot 3.7 is being written: chunks so far
///     sc:{clicks_1:1:0}:3.7:10s        starts of windows, as sorted set
///     sc:{clicks_1:1:0}:3.7:10s:1763977830   one window: tuple → counts
///
/// `slot` is where a copy lies (epoch of its builder and the counter, so that two owners never
/// write the same one, even if the counter was lost); only what `head` names is read. `stamp` is the copy's header as
/// text (`HotStamp`). Starts of windows are in seconds: exact as a score, which is a double, since
/// every window starts at a multiple of 10 s. Sequences are never numbers in Lua (doubles again),
/// only parts of the stamp, which is compared as a whole. Removing comes before writing, since a
/// server without memory still lets a script remove, and fails it at its first write. `unpack` is held to 4,000 values, half of
/// Lua's limit.
enum HotScripts {
  private static let names = """
    local base = string.sub(KEYS[1], 1, -5)
    local function put(copy, i)
      while i <= #ARGV do
        local index = copy .. ARGV[i]
        local start = ARGV[i + 1]
        local last = i + 2 + 2 * tonumber(ARGV[i + 2])
        redis.call('ZADD', index, start, start)
        i = i + 3
        while i <= last do
          local to = math.min(i + 3999, last)
          redis.call('HSET', index .. ':' .. start, unpack(ARGV, i, to))
          i = to + 1
        end
      end
    end
    local function removeBefore(index, bound)
      local old = redis.call('ZRANGEBYSCORE', index, '-inf', bound)
      for _, start in ipairs(old) do redis.call('UNLINK', index .. ':' .. start) end
      if #old > 0 then redis.call('ZREMRANGEBYSCORE', index, '-inf', bound) end
    end
    local function removeOthers(kept)
      for _, slot in ipairs(redis.call('SMEMBERS', base .. 'slots')) do
        if slot ~= kept then
          for _, level in ipairs({'10s', '1m', '1h', '1d'}) do
            removeBefore(base .. slot .. ':' .. level, '+inf')
          end
          redis.call('UNLINK', base .. slot .. ':build')
          redis.call('SREM', base .. 'slots', slot)
        end
      end
    end
    local function isFenced(epoch)
      for _, other in ipairs(redis.call('HMGET', KEYS[1], 'epoch', 'builder')) do
        if other and tonumber(other) > tonumber(epoch) then return true end
      end
      return false
    end

    """

  /// KEYS: head. ARGV: stamp that must be stored, new stamp, epoch, the first start to keep of each
  /// level or nothing, then windows (level, start, number of rows, tuple, counts, tuple, …).
  /// Answers `done`, `stale` or `fenced`.
  static let update =
    names + """
      local stored = redis.call('HMGET', KEYS[1], 'stamp', 'slot')
      if isFenced(ARGV[3]) then return 'fenced' end
      if stored[1] ~= ARGV[1] then return 'stale' end
      local copy = base .. stored[2] .. ':'
      for i, level in ipairs({'10s', '1m', '1h', '1d'}) do
        if ARGV[3 + i] ~= '' then removeBefore(copy .. level, '(' .. ARGV[3 + i]) end
      end
      put(copy, 8)
      redis.call('HSET', KEYS[1], 'stamp', ARGV[2], 'epoch', ARGV[3])
      return 'done'
      """

  /// KEYS: head. ARGV: epoch. Starts a copy; removes what earlier attempts left.
  /// Answers its slot, or `fenced`.
  static let begin =
    names + """
      if isFenced(ARGV[1]) then return 'fenced' end
      removeOthers(redis.call('HGET', KEYS[1], 'slot'))
      redis.call('HSET', KEYS[1], 'builder', ARGV[1])
      local slot = ARGV[1] .. '.' .. redis.call('INCR', base .. 'slot')
      redis.call('SADD', base .. 'slots', slot)
      redis.call('HSET', base .. slot .. ':build', 'chunks', 0)
      return slot
      """

  /// KEYS: head. ARGV: slot, chunks that must be there already, then windows.
  /// Answers `done` or `stale`.
  static let chunk =
    names + """
      local build = base .. ARGV[1] .. ':build'
      if redis.call('HGET', build, 'chunks') ~= ARGV[2] then return 'stale' end
      put(base .. ARGV[1] .. ':', 3)
      redis.call('HINCRBY', build, 'chunks', 1)
      return 'done'
      """

  /// KEYS: head. ARGV: slot, chunks that must be there, epoch, stamp. Makes the slot the copy that
  /// is read and removes all others. Answers `done`, `stale` or `fenced`.
  static let swap =
    names + """
      if isFenced(ARGV[3]) then return 'fenced' end
      if redis.call('HGET', base .. ARGV[1] .. ':build', 'chunks') ~= ARGV[2] then
        return 'stale'
      end
      redis.call('UNLINK', base .. ARGV[1] .. ':build')
      redis.call('HSET', KEYS[1], 'stamp', ARGV[4], 'slot', ARGV[1], 'epoch', ARGV[3])
      removeOthers(ARGV[1])
      return 'done'
      """

  /// KEYS: head. ARGV: per segment level, first start, end. Answers nothing where there is no copy,
  /// else the stamp, the slot, and per window level, start and number of rows.
  static let plan =
    names + """
      local stored = redis.call('HMGET', KEYS[1], 'stamp', 'slot')
      if not stored[1] then return false end
      local answer = {stored[1], stored[2]}
      for i = 1, #ARGV, 3 do
        local index = base .. stored[2] .. ':' .. ARGV[i]
        for _, start in ipairs(
          redis.call('ZRANGEBYSCORE', index, ARGV[i + 1], '(' .. ARGV[i + 2])) do
          answer[#answer + 1] = ARGV[i]
          answer[#answer + 1] = start
          answer[#answer + 1] = redis.call('HLEN', index .. ':' .. start)
        end
      end
      return answer
      """
}
