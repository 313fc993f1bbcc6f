import Foundation
import HTTPClient
import LocalServers

/// A collector with its processor and query API, pages that load the tracker from it, and a browser.
final class BrowserTrackerSystem: Sendable {
  let roles: SDKRoles
  let pages: PageServer
  let browser: Chromium

  private static let task = Task { try await BrowserTrackerSystem() }

  static func shared() async throws -> BrowserTrackerSystem { try await task.value }

  private init() async throws {
    roles = try await SDKRoles("browser", starting: [.collect, .processOne, .serve])
    pages = try await PageServer(tracker: roles.url(.collect), writeKey: SDKRoles.writeKey)
    browser = try await Chromium()
  }

  /// An event of a page as the log has it, in the parts that tests look at.
  struct LoggedEvent: Decodable, Sendable {
    /// The event as the browser sent it.
    struct Sent: Decodable, Sendable {
      var url: String
      var ref: String?
      /// Milliseconds since the epoch.
      var ts: Double
      var aid: String
      var uid: String?
      var pid: String?
      var dw: Int?
      var sd: Int?
      var page: Int?
      var drop: Int?
      var order: Int?
      /// When it was first sent.
      var tried: Double?
    }

    var id: String
    var type: String
    var content: String?
    var campaign: String?
    var variant: String?
    var channel: String?
    var revenue: String?
    var eventname: String?
    var data: Sent

    /// Such as `click`.
    var kind: String { String(type.trimmingPrefix("smartcontent.")) }
  }

  /// What the log holds of the site, in the order in which it happened; of copies the first.
  func events(of site: String) async throws -> [LoggedEvent] {
    var seen: Set<String> = []
    return try await lines(of: site).filter { seen.insert($0.id).inserted }.sorted { $0.id < $1.id }
  }

  /// As ``events(of:)``, copies too.
  func lines(of site: String) async throws -> [LoggedEvent] {
    let command = try await roles.command(["events", "cat"], name: "cat-\(site)")
    guard await command.waitForEnd(timeoutMs: 30_000) == .exited(0) else {
      throw HarnessError("events cat failed:\n\(command.log())")
    }
    let text = try TextFile.read(command.logPath)
    return try text.split(separator: "\n").filter { $0.contains("\"url\":\"http://\(site).") }.map {
      try JSONDecoder().decode(LoggedEvent.self, from: Data($0.utf8))
    }
  }

  /// Waits until the log's events of the site are as wanted.
  ///
  /// - Returns: those events.
  func events(
    of site: String, withinMs: Int = 30_000, until isWanted: ([LoggedEvent]) -> Bool
  ) async throws -> [LoggedEvent] {
    var last: [LoggedEvent] = []
    let isThere = try await eventually(withinMs: withinMs, everyMs: 100) {
      last = try await events(of: site)
      return isWanted(last)
    }
    guard isThere else {
      let list = last.map { "\($0.kind) \($0.content ?? "-") \($0.data.url)" }
      throw HarnessError("the log has of \(site) only:\n\(list.joined(separator: "\n"))")
    }
    return last
  }

  /// What the query API counts for the site.
  struct Counts: Equatable, Sendable, CustomStringConvertible {
    var impressions = 0
    var views = 0
    var clicks = 0
    var engagements = 0
    var conversions = 0

    init(_ values: [Int]) {
      guard values.count == 5 else { return }
      (impressions, views, clicks) = (values[0], values[1], values[2])
      (engagements, conversions) = (values[3], values[4])
    }

    /// Each event once.
    init(_ events: [LoggedEvent]) {
      let kinds = ["impression", "view", "click", "engagement", "conversion"]
      self.init(kinds.map { kind in events.count { $0.kind == kind } })
    }

    var description: String {
      "\(impressions) impressions, \(views) views, \(clicks) clicks, \(engagements) engagements, "
        + "\(conversions) conversions"
    }
  }

  /// Asks for the site's counts, of everything that was stored before.
  func counts(of site: String) async throws -> Counts {
    let position = try roles.fence("\(site)-\(UInt32.random(in: 0 ... .max))")
    let query = """
      {"metrics":["impressions","views","clicks","engagements","conversions"],"date_range":"1h",\
      "traffic":"all","filters":[["is","campaign",["\(site)"]]]}
      """
    let answer = try HTTPClient().post(
      roles.url(.serve) + "/v1/query?after=\(position)&timeout=30",
      headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
    guard answer.status == 200 else {
      throw HarnessError("the query was answered with \(answer.status): \(answer.text)")
    }
    struct Answer: Decodable {
      struct Row: Decodable { var metrics: [Double] }
      var results: [Row]
    }
    let rows = try JSONDecoder().decode(Answer.self, from: Data(answer.text.utf8)).results
    return Counts((rows.first?.metrics ?? []).map { Int($0) })
  }
}
