import Events
import Operators
import Views

/// The events of the Yahoo Streaming Benchmark (Chintapalli et al. 2016): 100 campaigns of 10 ads, 100
/// users, 100 pages, five types of ads, and a third each of views, clicks and purchases.
///
/// An event is a function of its number, so frames, lines and the expected counts are made from the
/// same events wherever they are made. In order, times rise evenly; out of order, each is up to
/// `disorderMs` earlier than that.
struct YSBWorkload: Sendable {
  static let campaignCount = 100
  static let adsPerCampaign = 10
  static let adTypes = ["banner", "modal", "sponsored-search", "mail", "mobile"]
  static let eventTypes = ["view", "click", "purchase"]
  static let kinds: [EventKind] = [.view, .click, .conversion]
  static let windowMs: Int64 = 10_000
  static let ipAddress = "1.2.3.4"

  let eventCount: Int
  /// Events per second of event time.
  var eventsPerSecond = 100_000
  let disorderMs: Int64
  /// Milliseconds since the epoch of the first event.
  var startMs: Int64 = 1_700_000_000_000
  private let seed: UInt64 = 42

  let campaigns: [String]
  let ads: [String]
  let users: [String]
  let pages: [String]

  struct Event {
    var user: Int
    var page: Int
    var ad: Int
    var adType: Int
    var eventType: Int
    var timeMs: Int64
  }

  init(eventCount: Int, disorderMs: Int64 = 0) {
    self.eventCount = eventCount
    self.disorderMs = disorderMs
    var random = FrameWorkload.Random(state: 7)
    campaigns = (0..<Self.campaignCount).map { _ in Self.uuid(&random) }
    ads = (0..<Self.campaignCount * Self.adsPerCampaign).map { _ in Self.uuid(&random) }
    users = (0..<100).map { _ in Self.uuid(&random) }
    pages = (0..<100).map { _ in Self.uuid(&random) }
  }

  private static func uuid(_ random: inout FrameWorkload.Random) -> String {
    let digits = Array("0123456789abcdef")
    var text = ""
    for index in 0..<32 {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(digits[Int(random.next() & 15)])
    }
    return text
  }

  @inline(__always)
  func event(_ index: Int) -> Event {
    var random = FrameWorkload.Random(state: seed &+ UInt64(index) &* 0x2545_f491_4f6c_dd1d)
    let bits = random.next()
    var timeMs = startMs + Int64(index) * 1000 / Int64(eventsPerSecond)
    if disorderMs > 0 { timeMs -= Int64(random.next() % UInt64(disorderMs)) }
    return Event(
      user: Int(bits & 0xffff) % 100, page: Int((bits >> 16) & 0xffff) % 100,
      ad: Int((bits >> 32) & 0xfffff) % ads.count, adType: Int((bits >> 52) & 0x3f) % 5,
      eventType: Int(bits >> 58) % 3, timeMs: timeMs)
  }

  func campaign(ofAd ad: Int) -> Int { ad / Self.adsPerCampaign }

  /// Views per campaign and window, counted while generating.
  func expected() -> YSBCounts {
    var counts = YSBCounts()
    var window: Int64 = .min
    var row = [Int64](repeating: 0, count: Self.campaignCount)
    for index in 0..<eventCount {
      let event = event(index)
      guard event.eventType == 0 else { continue }
      let start = event.timeMs - event.timeMs % Self.windowMs
      if start != window {
        if window != .min { counts.windows[window] = row }
        window = start
        row = counts.windows[start] ?? row.map { _ in 0 }
      }
      row[campaign(ofAd: event.ad)] += 1
    }
    if window != .min { counts.windows[window] = row }
    return counts
  }

  /// Which campaign each ad belongs to.
  func facts() -> JoinTable {
    JoinTable(
      dimension: .content,
      facts: ads.enumerated().map { ad, name in
        (name, tuple(ofCampaign: campaign(ofAd: ad)))
      })
  }

  func tuple(ofCampaign campaign: Int) -> DimensionTuple {
    DimensionTuple(site: "ysb", campaign: campaigns[campaign])
  }

  /// The number of a campaign by its encoded tuple.
  func campaignsByTuple() -> [[UInt8]: Int] {
    Dictionary(
      uniqueKeysWithValues: campaigns.indices.map { (tuple(ofCampaign: $0).encoded, $0) })
  }
}

/// Views per window start (milliseconds since the epoch) and campaign.
struct YSBCounts: Equatable {
  var windows: [Int64: [Int64]] = [:]

  mutating func add(startMs: Int64, campaign: Int, _ count: Int64) {
    windows[startMs, default: Array(repeating: 0, count: YSBWorkload.campaignCount)][campaign] +=
      count
  }

  /// - Throws: where the two differ, with the first difference.
  func require(equal expected: YSBCounts, _ what: String) throws {
    for start in Set(windows.keys).union(expected.windows.keys).sorted() {
      let none = [Int64](repeating: 0, count: YSBWorkload.campaignCount)
      let found = windows[start] ?? none
      let wanted = expected.windows[start] ?? none
      if let campaign = found.indices.first(where: { found[$0] != wanted[$0] }) {
        throw BenchError(
          """
          \(what): campaign \(campaign) has \(found[campaign]) views in the window \(start), \
          expected are \(wanted[campaign])
          """)
      }
    }
  }
}
