/// What wrk sends: every event has an id of its own. Lua writes a request by one `string.format`, because the load
/// generator shares the processor with what it measures.
enum LoadScripts {
  /// Requests with so many events each.
  struct Batch {
    let events: Int
    let script: String
  }

  /// One pixel per request.
  ///
  /// - Parameter pauseMs: how long a connection waits on average between an answer and its next request.
  static func pixel(pauseMs: Double? = nil) -> String {
    head + """
      local text
      function init() text = "GET /p.gif?k=dev&t=impression&cid=c%d&cnt=p%d&var=a&ch=web&uid=u%d&eid=" ..
        base .. "-%d-%d HTTP/1.1\\r\\nHost: " .. wrk.host .. "\\r\\n\\r\\n" end
      function request()
        n = n + 1
        return format(text, n % 20, n % 200, n % 100000, id, n)
      end

      """ + (pauseMs.map { "function delay() return math.random(0, \(Int($0 * 2))) end\n" } ?? "")
      + tail
  }

  /// One decision per request.
  ///
  /// - Parameter pauseMs: as for ``pixel(pauseMs:)``.
  static func decide(pauseMs: Double? = nil) -> String {
    head + """
      local text
      local bodyText = '{"k":"dev","decision":"hero","person":"u%d","context":{"device":"phone","hour":%d}}'
      function init() text = "POST /v1/decide HTTP/1.1\\r\\nHost: " .. wrk.host ..
        "\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" end
      function request()
        n = n + 1
        local body = format(bodyText, n % 100000, n % 24)
        return format(text, #body) .. body
      end

      """ + (pauseMs.map { "function delay() return math.random(0, \(Int($0 * 2))) end\n" } ?? "")
      + tail
  }

  /// As analytics-python sends them.
  static let segmentBatch = Batch(
    events: 20,
    script: batch(
      20, path: "/v1/batch", headers: "Authorization: Basic ZGV2Og==\\r\\n",
      opening: #"{"batch":["#, closing: "]}",
      event: """
        {"type":"track","event":"Content Impression","messageId":"' .. base .. '-' .. id .. '-<n:8>",\
        "userId":"u<u:5>","timestamp":"' .. now .. '","context":{"library":{"name":"analytics-python"}},\
        "properties":{"campaign_id":"c<c:2>","content_id":"p<p:3>","variant_id":"a","channel":"web"}}
        """))

  /// As PostHog's SDKs send them.
  static let postHogBatch = Batch(
    events: 100,
    script: batch(
      100, path: "/batch/", headers: "",
      opening: #"{"api_key":"dev","batch":["#, closing: "]}",
      event: """
        {"event":"Content Impression","distinct_id":"u<u:5>","uuid":"' .. uuid .. '<n:12>",\
        "timestamp":"' .. now .. '","properties":{"campaign_id":"c<c:2>","content_id":"p<p:3>",\
        "variant_id":"a","channel":"web","$lib":"posthog-python","$lib_version":"7.0.0"}}
        """))

  /// A batch is laid out once; for each request only the digits in it are written anew, which takes a tenth of what a
  /// format does.
  ///
  /// - Parameter event: a Lua text in single quotes. `<n:8>` is the number of the event with eight digits; `u`, `c` and
  ///   `p` are those of persons, campaigns and contents.
  private static func batch(
    _ count: Int, path: String, headers: String, opening: String, closing: String, event: String
  ) -> String {
    head + """
      local ffi = require("ffi")
      local now = os.date("!%Y-%m-%dT%H:%M:%SZ")
      local uuid = format("%08x-%04x-7000-8000-", os.time(), math.random(0, 65535))
      local modulos = { n = 1e12, u = 100000, c = 20, p = 200 }
      -- Requests of one length would be one chain in Lua's table of texts.
      local padding = 64
      local requests, first, buffer, total = 0, nil, nil, 0
      local fields, starts, ends, widths, limits = 0, {}, {}, {}, {}
      function init()
        local event = '\(event)'
        local body = '\(opening)'
        for i = 1, \(count) do
          if i > 1 then body = body .. "," end
          local from = 1
          for before, name, width, after in event:gmatch("([^<]*)<(%a):(%d+)>()") do
            body = body .. before .. string.rep("0", tonumber(width))
            fields = fields + 1
            starts[fields], ends[fields] = from == 1 and 1 or 0, #body
            widths[fields], limits[fields] = tonumber(width), modulos[name]
            from = after
          end
          body = body .. event:sub(from)
        end
        body = body .. '\(closing)'
        first = "POST \(path) HTTP/1.1\\r\\nX-Padding: "
        local rest = string.rep("p", padding) .. "\\r\\nHost: " .. wrk.host .. "\\r\\n\(headers)" ..
          "Content-Type: application/json\\r\\nContent-Length: " .. #body .. "\\r\\n\\r\\n"
        for i = 1, fields do ends[i] = ends[i] + #first + #rest - 1 end
        local text = first .. rest .. body
        total = #text
        buffer = ffi.new("char[?]", total)
        ffi.copy(buffer, text, total)
      end
      function request()
        for i = 1, fields do
          n = n + starts[i]
          local value, at = n % limits[i], ends[i]
          for digit = 1, widths[i] do
            local rest = value % 10
            buffer[at] = 48 + rest
            value, at = (value - rest) / 10, at - 1
          end
        end
        requests = requests + 1
        local skipped = requests % padding
        ffi.copy(buffer + skipped, first, #first)
        ffi.fill(buffer + skipped + #first, padding - skipped, 112)
        return ffi.string(buffer + skipped, total - skipped)
      end

      """ + tail
  }

  private static let head = """
    local format = string.format
    local n, base = 0, format("%d-%d", os.time(), math.random(1, 1e9))
    local thread = 0
    function setup(t) thread = thread + 1; t:set("id", thread) end

    """

  private static let tail = """
    function done(summary, latency)
      local e = summary.errors
      print(format("RESULT %.1f %d %.3f", summary.requests / summary.duration * 1e6,
        e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99) / 1000))
    end
    """
}
