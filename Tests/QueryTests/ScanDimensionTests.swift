import Events
import HTTPServer
import MemoryPorts
import Testing
import Views

@testable import QueryAPI

/// What scans answer by names that senders gave, lists of any length, filters of which one holds, and time buckets of
/// persons' questions.
@Suite struct ScanDimensionTests {
  /// 2026-11-09T00:00:00Z, a Monday.
  private static let start: Int64 = 1_794_182_400_000_000
  private static let minute: Int64 = 60_000_000
  private static let hour: Int64 = 60 * minute
  private static let range = #""date_range":["2026-11-09","2026-11-11"]"#

  private let api = LoggedService(
    view: SimulatedSecondStage(partitions: 1, times: [start]), now: start + 240 * hour)

  private func problem(_ route: String, _ members: String) async -> Problem? {
    await #expect(throws: Problem.self) {
      _ = try await api.ask(route, "{\(members),\(Self.range)}")
    }
  }

  private func query(_ members: String) async throws -> String {
    try await api.ask("query", "{\(members),\(Self.range)}")
  }

  @Test("A property is found where each protocol has it, in rows, filters and lists")
  func properties() async throws {
    let payloads = [
      #"{"type":"track","properties":{"plan":"pro","cart":{"size":3}}}"#,
      #"{"event":"x","properties":{"$lib":"web","plan":"pro","cart.size":"4"}}"#,
      #"{"id":"1","data":{"plan":"free"}}"#,
      #"{"client_id":"1","events":[{"name":"x","params":{"plan":"fr\u0065e"}}]}"#,
      #"{"type":"identify","traits":{"plan":"team"}}"#,
      #"{"t":"click","plan":true}"#,
      #"{"properties":{"plan":null}}"#, #"{"properties":{"plan":{"a":1}}}"#, "{}",
    ]
    for (index, payload) in payloads.enumerated() {
      api.put(.click, 2, at: Self.start + Int64(index) * Self.minute, payload: payload)
    }
    let tables: [(query: String, results: String)] = [
      (
        #""metrics":["clicks"],"dimensions":["property:plan"]"#,
        #"{"dimensions":[""],"metrics":[3]},{"dimensions":["free"],"metrics":[2]},"#
          + #"{"dimensions":["pro"],"metrics":[2]},{"dimensions":["team"],"metrics":[1]},"#
          + #"{"dimensions":["true"],"metrics":[1]}"#
      ),
      (
        #""metrics":["clicks"],"dimensions":["property:cart.size"],"filters":[["is","property:plan",["pro"]]]"#,
        #"{"dimensions":["3"],"metrics":[1]},{"dimensions":["4"],"metrics":[1]}"#
      ),
      (
        #""metrics":["top_property:plan"],"filters":[["contains","property:plan",["r"]]],"top_limit":1"#,
        #"{"dimensions":[],"metrics":[{"top":[{"value":"free","count":2,"error":0}],"certain":true}]}"#
      ),
      (
        #""metrics":["clicks"],"filters":[["or",[["is","property:plan",["team"]],["is","property:cart.size",["3"]]]]]"#,
        #"{"dimensions":[],"metrics":[2]}"#
      ),
      (
        #""metrics":["clicks"],"dimensions":["property:nothing"]"#,
        #"{"dimensions":[""],"metrics":[9]}"#
      ),
    ]
    for (members, results) in tables {
      let text = try await query(members)
      // Of two with the same count the list may have either.
      let other = results.replacing("\"free\",\"count\"", with: "\"pro\",\"count\"")
      #expect(
        [results, other].contains { text.hasPrefix(#"{"results":[\#($0)],"meta""#) }, "\(text)")
    }
    let table = try await api.ask(
      "sessions", #"{"by":["property:plan"],"format":"csv",\#(Self.range)}"#)
    #expect(LoggedService.rows(table, columns: ["property:plan", "sessions"]) == ["pro 1"])
  }

  @Test("A property of any name leaves the other dimensions what they are")
  func beside() async throws {
    let payload =
      #"{"url":"https://me.example/?utm_source=news","country":"DE","properties":{"url":"own","country":"FR"}}"#
    api.put(.click, 2, at: Self.start, payload: payload)
    let text = try await query(
      #""metrics":["clicks"],"dimensions":["source","country","property:url","property:country","property:properties.url"]"#
    )
    #expect(
      text.hasPrefix(#"{"results":[{"dimensions":["news","DE","own","FR","own"],"metrics":[1]}]"#),
      "\(text)")
  }

  @Test("Lists have as many entries as are asked for, up to what is counted at once")
  func lists() async throws {
    for index in 0..<600 {
      api.put(
        .view, 2, at: Self.start + Int64(index) * 1_000_000,
        tuple: DimensionTuple(site: "default", content: "c\(index % 40)"))
    }
    for (limit, count) in [(nil, 10), (3, 3), (25, 25), (512, 40)] as [(Int?, Int)] {
      let member = limit.map { #","top_limit":\#($0)"# } ?? ""
      let text = try await query(#""metrics":["top_contents"]\#(member)"#)
      #expect(text.ranges(of: #""value":"#).count == count, "\(text)")
      #expect(text.contains(#""top_limit":\#(limit ?? 10)"#))
      #expect(text.contains(#""certain":true"#))
    }
    for (member, part) in [
      (#""metrics":["top_contents"],"top_limit":513"#, "1 to 512"),
      (#""metrics":["top_contents"],"top_limit":0"#, "1 to 512"),
      (#""metrics":["clicks"],"top_limit":5"#, "no metric of the query is a list"),
    ] {
      let problem = await problem("query", member)
      #expect(problem?.code == "invalid_value" && problem?.detail.contains(part) ?? false)
    }
  }

  @Test("Names that are none are refused with what is allowed, and so are too many properties")
  func refusals() async throws {
    let many = (0..<9).map { "\"property:p\($0)\"" }.joined(separator: ",")
    for (members, path) in [
      (#""metrics":["clicks"],"dimensions":["property:"]"#, "$.dimensions[0]"),
      (#""metrics":["clicks"],"scan":true,"dimensions":["property:"]"#, "$.dimensions[0]"),
      (#""metrics":["clicks"],"dimensions":["property:a\u0001"]"#, "$.dimensions[0]"),
      (#""metrics":["top_property:"]"#, "$.metrics[0]"),
      (#""metrics":["clicks"],"dimensions":[\#(many)]"#, "$: "),
    ] {
      let problem = await problem("query", members)
      #expect(problem?.status == .badRequest)
      #expect(problem?.detail.hasPrefix(path) ?? false, "\(problem?.detail ?? "")")
    }
    let by = await problem("sessions", #""by":"planet""#)
    #expect(by?.detail.contains("property:NAME") ?? false, "\(by?.detail ?? "")")
  }

  @Test("A row of a time bucket is what the bucket alone is answered with")
  func buckets() async throws {
    // Two days; who begins on both counts on both.
    let visits: [(device: UInt64, hour: Int64)] = [
      (1, 1), (2, 2), (2, 3), (4, 23), (4, 24), (1, 25), (3, 26), (1, 30),
    ]
    for (device, hour) in visits {
      let time = Self.start + hour * Self.hour + Int64(device) * Self.minute
      let tuple = DimensionTuple(site: "default", campaign: "c\(device % 3)")
      api.put(.view, device, at: time, tuple: tuple)
      api.put(.click, device, at: time + Self.minute, tuple: tuple)
      if device != 2 { api.put(.conversion, device, at: time + 5 * Self.minute) }
    }
    let questions: [(route: String, members: String)] = [
      (
        "funnels",
        #""steps":[{"kind":"view"},{"kind":"click"},{"kind":"conversion"}],"within":"2h","#
      ),
      ("attribution", #""model":"linear","look_back":"3h","touches":{"kinds":["view","click"]},"#),
      ("sessions", ""),
    ]
    for (route, members) in questions {
      for by in [[], ["campaign"]] {
        func names(_ names: [String]) -> String {
          names.isEmpty ? "" : #""by":[\#(names.map { "\"\($0)\"" }.joined(separator: ","))],"#
        }
        let whole = try await api.ask(
          route,
          #"{\#(members)\#(names(["time:day"] + by))"format":"csv","date_range":["2026-11-09","2026-11-11"]}"#
        )
        for day in ["2026-11-09", "2026-11-10"] {
          // Without anything to tell apart attribution is by content.
          let alone = try await api.ask(
            route,
            #"{\#(members)\#(names(by))"format":"csv","date_range":["\#(day)","\#(day)"]}"#)
          let rows = whole.split(separator: "\r\n").filter { $0.hasPrefix("\(day)T00:00:00Z,") }
            .map { $0.dropFirst("\(day)T00:00:00Z,".count) }
          var expected = alone.split(separator: "\r\n").dropFirst().map { $0[...] }
          if route == "attribution" {
            // The last row is what has no touch, over the whole range.
            expected = expected.dropLast().map {
              by.isEmpty ? $0.drop { $0 != "," }.dropFirst() : $0
            }
          }
          #expect(rows == expected, "\(route) by \(by) on \(day): \(whole) \(alone)")
          #expect(!rows.isEmpty)
        }
      }
    }
    let compared = try await api.ask(
      "sessions",
      #"{"by":"time:day","compare":"previous","format":"csv","date_range":["2026-11-10","2026-11-10"]}"#
    )
    #expect(
      LoggedService.rows(compared, columns: ["time:day", "sessions", "sessions_before"])
        == ["2026-11-10T00:00:00Z 4 4"], "\(compared)")
    let tooMany = await problem("sessions", #""by":"time:10s""#)
    #expect(tooMany?.code == "too_many_buckets")
    let twice = await problem("sessions", #""by":["time:day","time:hour"]"#)
    #expect(twice?.detail.hasPrefix("$.by[1]") ?? false)
  }

  @Test("How often what was final has been corrected is told")
  func revision() async throws {
    // When they happened and when they were stored, minutes: the fourth and the last one are late.
    let moments: [(at: Int64, storedAt: Int64)] = [
      (0, 0), (10, 10), (20, 20), (3, 21), (30, 30), (4, 31),
    ]
    for (index, moment) in moments.enumerated() {
      let time = Self.start + moment.at * Self.minute
      api.log.append(
        [
          IncomingEvent(
            kind: .view, key: Key128(low: UInt64(index), high: 1), person: Key128(low: 1, high: 9),
            eventTime: time, receivedAt: time, dimensions: DimensionTuple(site: "default").encoded,
            id: "\(index)", name: "n", source: "test", payload: Array("{}".utf8))
        ], to: "events-00", storedAt: Self.start + moment.storedAt * Self.minute)
    }
    let text = try await query(#""metrics":["events"],"scan":true"#)
    #expect(text.contains(#""in_range":6,"late":2,"revision":2,"#), "\(text)")
  }

  @Test("A stream of what only a scan answers is refused with the way out")
  func stream() async throws {
    let problem = await #expect(throws: Problem.self) {
      _ = try await api.service.stream(
        HTTPRequest(
          method: .get, path: "/v1/stream",
          query: "query=%7B%22metrics%22:%5B%22uniques%22%5D,%22date_range%22:%227d%22%7D"))
    }
    #expect(problem?.detail.contains("POST /v1/query") ?? false)
  }
}
