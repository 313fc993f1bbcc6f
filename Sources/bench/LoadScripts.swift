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
        {"type":"track","event":"Content Impression","messageId":"' .. base .. '-%d-%d","userId":"u%d",\
        "timestamp":"' .. now .. '","context":{"library":{"name":"analytics-python"}},"properties":\
        {"campaign_id":"c%d","content_id":"p%d","variant_id":"a","channel":"web"}}
        """, values: "id, n, n % 100000, n % 20, n % 200"))

  /// As PostHog's SDKs send them.
  static let postHogBatch = Batch(
    events: 100,
    script: batch(
      100, path: "/batch/", headers: "",
      opening: #"{"api_key":"dev","batch":["#, closing: "]}",
      event: """
        {"event":"Content Impression","distinct_id":"u%d","uuid":"' .. uuid .. '%012x","timestamp":"' .. now .. '",\
        "properties":{"campaign_id":"c%d","content_id":"p%d","variant_id":"a","channel":"web",\
        "$lib":"posthog-python","$lib_version":"7.0.0"}}
        """, values: "n % 100000, n, n % 20, n % 200"))

  /// - Parameters:
  ///   - event: a Lua text in single quotes, a format for `values`.
  ///   - values: of one event, by its number `n`.
  private static func batch(
    _ count: Int, path: String, headers: String, opening: String, closing: String, event: String,
    values: String
  ) -> String {
    head + """
      local now = os.date("!%Y-%m-%dT%H:%M:%SZ")
      local uuid = format("%08x-%04x-7000-8000-", os.time(), math.random(0, 65535))
      local text, bodyText, values = nil, nil, {}
      function init()
        local parts = {}
        for i = 1, \(count) do parts[i] = '\(event)' end
        local body = '\(opening)' .. table.concat(parts, ",") .. '\(closing)'
        text = "POST \(path) HTTP/1.1\\r\\nHost: " .. wrk.host .. "\\r\\n\(headers)" ..
          "Content-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
        bodyText = body
      end
      function request()
        local at = 0
        for i = 1, \(count) do
          n = n + 1
          \(assignments(values))
        end
        local body = format(bodyText, unpack(values))
        return format(text, #body) .. body
      end

      """ + tail
  }

  private static func assignments(_ values: String) -> String {
    let all = values.split(separator: ",")
    return all.enumerated().map { "values[at + \($0.offset + 1)] =\($0.element)" }
      .joined(separator: " ") + " at = at + \(all.count)"
  }

  private static let head = """
    local format, unpack = string.format, unpack
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
