import Dataflow
import Definitions
import Events
import HTTPClient

/// Finds out when the system is well again: every collector takes fresh events in, they come through
/// every partition and are in the answers of every pipeline; and all that runs says that it is ready.
struct Probe {
  struct Outcome {
    /// Steady time when fresh events could be queried; nil where that was not reached.
    var queryable: Int64?
    /// Steady time when all was ready besides.
    var recovered: Int64?
    /// What was still wrong when the time was over, or answers that must not be.
    var detail = ""
    /// What was waited for, and how long, seconds.
    var waits: [(what: String, seconds: Double)] = []
  }

  static let sender = 1000
  /// All that is waited for, seconds.
  static let patienceSeconds: Int64 = 90

  private let testbed: Testbed
  private let ledger: Ledger
  private let client: HTTPClient
  private let pipelines: [String]
  private let partitions: Int
  private var next = 0
  /// Probes that were acknowledged, and that were sent, of which some may be stored all the same.
  private var acknowledged = 0
  private var sent = 0

  private static let site = 0
  private static let campaign = "probe"

  init(_ testbed: Testbed, _ ledger: Ledger) throws {
    self.testbed = testbed
    self.ledger = ledger
    // A query waits a second for its position, and then reads.
    client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 300, timeoutMs: 4000))
    pipelines = testbed.definitions.pipelines.map(\.name)
    partitions = testbed.definitions.streams.partitions
  }

  static func isReady(_ node: Node) -> Bool { readinessProblem(node) == nil }

  /// - Returns: nil for a process that is ready, else what it says.
  static func readinessProblem(_ node: Node) -> String? {
    do throws(HTTPClientError) {
      let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 200, timeoutMs: 1500))
      let answer = try client.get(node.url + "/health/ready")
      return answer.status == 200 ? nil : "\(node.name): \(answer.text)"
    } catch {
      return "\(node.name): \(error)"
    }
  }

  /// Waits until the system is well.
  mutating func measure() -> Outcome {
    var outcome = Outcome()
    let deadline = Clock.steady() + Self.patienceSeconds * 1_000_000
    var untried = testbed.nodes("collect").filter { !$0.isFrozen }.map(\.url)
    var position: Position?
    var left = pipelines
    var stepped = Clock.steady()
    while Clock.steady() < deadline, !Interruption.isAsked {
      defer {
        let now = Clock.steady()
        Self.note(outcome.detail, Double(now - stepped) / 1e6, &outcome.waits)
        stepped = now
      }
      if let collector = untried.last {
        outcome.detail = "\(collector) takes no events"
        if let stored = send(to: collector) {
          position = position.map { Self.merged($0, stored) } ?? stored
          // A partition that none of the probes went to is met by the next ones.
          if position?.sequences.count == partitions { untried.removeLast() }
        }
      } else if let position, let pipeline = left.last {
        switch ask(pipeline, position) {
        case .there: left.removeLast()
        case .notYet(let why): outcome.detail = why
        case .wrong(let what):
          outcome.detail = what
          return outcome
        }
      } else {
        if outcome.queryable == nil { outcome.queryable = Clock.steady() }
        let problems = testbed.nodes.filter { !$0.isFrozen }.compactMap(Self.readinessProblem)
        if problems.isEmpty {
          outcome.recovered = Clock.steady()
          outcome.detail = ""
          return outcome
        }
        outcome.detail = problems.joined(separator: "; ")
      }
      Clock.pause(ms: 10)
    }
    return outcome
  }

  private static func note(
    _ detail: String, _ seconds: Double, _ waits: inout [(what: String, seconds: Double)]
  ) {
    let what = String(detail.prefix(100))
    if waits.last?.what == what {
      waits[waits.count - 1].seconds += seconds
    } else {
      waits.append((what, seconds))
    }
  }

  private static func merged(_ position: Position, _ other: Position) -> Position {
    var merged = position
    for (partition, sequence) in other.sequences {
      merged.advance(partition: partition, to: sequence)
    }
    return merged
  }

  // MARK: Sending

  /// - Returns: where the probes are, nil where they were not taken.
  private mutating func send(to collector: String) -> Position? {
    let count = 6 * partitions
    let first = next
    let now = Timestamp.format(Clock.wall())
    let objects = (first..<first + count).map { number in
      "{\"type\":\"track\",\"event\":\"Content Impression\","
        + "\"messageId\":\"\(Wire.id(sender: Self.sender, number: number))\","
        + "\"anonymousId\":\"probe-\(number)\",\"timestamp\":\"\(now)\","
        + "\"properties\":{\"campaign_id\":\"\(Self.campaign)\",\"content_id\":\"probe\"}}"
    }
    next += count
    sent += count
    do {
      let answer = try client.post(
        collector + "/v1/batch", headers: Wire.headers(site: Self.site),
        body: Array("{\"batch\":[\(objects.joined(separator: ","))]}".utf8))
      guard answer.status == 200 else { return nil }
      acknowledged += count
      ledger.acknowledged(
        Ledger.Entry(sender: Self.sender, numbers: first..<next, site: Self.site), malformed: 0)
      return answer.header("SmartContent-Position").flatMap { Position($0) }
    } catch {
      return nil
    }
  }

  // MARK: Asking

  private enum Finding {
    case there
    case notYet(String)
    case wrong(String)
  }

  private func ask(_ pipeline: String, _ position: Position) -> Finding {
    let query =
      "{\"metrics\":[\"impressions\"],\"site_id\":\"\(Wire.sites[Self.site])\","
      + "\"pipeline\":\"\(pipeline)\",\"date_range\":\"all\",\"timeout\":1,"
      + "\"filters\":[[\"is\",\"campaign\",[\"\(Self.campaign)\"]]],\"after\":\"\(position)\"}"
    do {
      let answer = try client.post(
        testbed.nodes("serve")[0].url + "/v1/query",
        headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
      guard answer.status == 200 else {
        return .notYet("serve answers \(answer.status): \(answer.text.prefix(300))")
      }
      guard let count = Self.firstMetric(answer.text) else {
        return .wrong("no number in the answer \(answer.text.prefix(300))")
      }
      guard (acknowledged...sent).contains(count) else {
        return .wrong(
          "pipeline \(pipeline) counts \(count) probes of \(acknowledged) acknowledged and "
            + "\(sent) sent, at a position that has all of them: \(answer.text.prefix(600))")
      }
      return .there
    } catch {
      return .notYet("serve: \(error)")
    }
  }

  /// - Returns: the body of an answer with status 200.
  static func post(_ url: String, _ query: String) throws -> String {
    let answer = try HTTPClient().post(
      url, headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
    guard answer.status == 200 else {
      throw ChaosError("\(url) answers \(answer.status): \(answer.text.prefix(300))")
    }
    return answer.text
  }

  /// The number after `"metrics":[`.
  static func firstMetric(_ text: String) -> Int? {
    guard let found = text.firstRange(of: "\"metrics\":[") else { return nil }
    return Int(text[found.upperBound...].prefix { $0.isNumber || $0 == "-" })
  }
}
