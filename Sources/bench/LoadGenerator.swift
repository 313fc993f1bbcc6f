import Foundation

/// wrk (Debian package `wrk`) with a script that makes every request different.
enum LoadGenerator {
  struct Result {
    var requestsPerSecond: Double
    var failures: Int
    var p99Ms: Double
  }

  /// One GET pixel per request, each with its own event id.
  static let pixelScript = """
    local n, base = 0, string.format("%d-%d", os.time(), math.random(1, 1e9))
    local thread = 0
    function setup(t) thread = thread + 1; t:set("id", thread) end
    function request()
      n = n + 1
      return wrk.format("GET", "/p.gif?k=dev&t=impression&cid=c" .. (n % 20) .. "&cnt=p" ..
        (n % 200) .. "&var=a&ch=web&uid=u" .. (n % 100000) .. "&eid=" .. base .. "-" .. id .. "-" .. n)
    end
    """ + statusCount

  /// Segment batches of 20 events, each event with its own id.
  static let batchScript = """
    local n, base = 0, string.format("%d-%d", os.time(), math.random(1, 1e9))
    local thread = 0
    function setup(t) thread = thread + 1; t:set("id", thread) end
    local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Basic ZGV2Og==" }
    local format = string.format
    function request()
      local parts = {}
      for i = 1, 20 do
        n = n + 1
        parts[i] = format('{"type":"track","event":"Content Impression","messageId":"%s-%d-%d",' ..
          '"userId":"u%d","timestamp":"%s","context":{"library":{"name":"analytics-python"}},' ..
          '"properties":{"campaign_id":"c%d","content_id":"p%d","variant_id":"a","channel":"web"}}',
          base, id, n, n % 100000, os.date("!%Y-%m-%dT%H:%M:%SZ"), n % 20, n % 200)
      end
      return wrk.format("POST", "/v1/batch", headers,
        '{"batch":[' .. table.concat(parts, ",") .. ']}')
    end
    """ + statusCount

  private static let statusCount = """

    local bad = 0
    function response(status) if status ~= 200 then bad = bad + 1 end end
    function done(summary, latency)
      local e = summary.errors
      print(string.format("RESULT %.1f %d %.3f", summary.requests / summary.duration * 1e6,
        e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99) / 1000))
    end
    """

  static func run(
    url: String, script: String, connections: Int, seconds: Int, folder: String
  ) throws -> Result {
    let path = "\(folder)/load.lua"
    try script.write(toFile: path, atomically: true, encoding: .utf8)
    let output = try Shell.run([
      "wrk", "-t1", "-c\(connections)", "-d\(seconds)s", "--timeout", "5s", "-s", path, url,
    ])
    for line in output.split(separator: "\n") where line.hasPrefix("RESULT ") {
      let fields = line.split(separator: " ").dropFirst().compactMap { Double($0) }
      guard fields.count == 3 else { break }
      return Result(
        requestsPerSecond: fields[0], failures: Int(fields[1]), p99Ms: fields[2])
    }
    throw BenchError("wrk gave no result:\n\(output)")
  }
}

/// Runs a program to its end and gives its output.
enum Shell {
  static func run(_ command: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: output, as: UTF8.self)
    guard process.terminationStatus == 0 else {
      throw BenchError("\(command[0]) ended with \(process.terminationStatus): \(text)")
    }
    return text
  }
}
