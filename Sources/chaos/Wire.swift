import DemoTraffic
import Events
import HTTPClient

/// The events of the run on the wire: batches of Segment's HTTP API, with numbered ids.
///
/// Most events are of now; some are late by seconds, by minutes, by more than the hour that the
/// pipeline `recent` allows, or by a month; a few are of the future, and a few can't be read at all.
struct Wire {
  /// Each site has a write key; ids are unique within it.
  static let sites = ["alpha", "beta", "gamma"]
  static func writeKey(_ site: Int) -> String { "key-\(sites[site])" }
  static var writeKeys: String {
    sites.indices.map { "\(writeKey($0)):\(sites[$0])" }.joined(separator: ",")
  }

  static let batchSize = 20
  private static let persons = 20_000
  private static let second: Int64 = 1_000_000

  /// How far behind its sending an event is dated: from, to, and how often, in seconds.
  private static let delays: [(Range<Int64>, Double)] = [
    (0..<1, 0.84), (1..<5, 0.09), (5..<90, 0.045), (90..<3000, 0.012), (4000..<20_000, 0.009),
    (86_400..<2_600_000, 0.004),
  ]

  struct Batch {
    var body: [UInt8]
    var headers: [HTTPHeader]
    var entry: Ledger.Entry
    var malformed: Int
  }

  let sender: Int
  /// Distinct contents, above the few busy ones, that events are spread over.
  let contents: Int
  private var random: SplitMix64
  private var next = 0

  init(sender: Int, seed: UInt64, contents: Int) {
    self.sender = sender
    self.contents = contents
    random = SplitMix64(seed: seed &+ UInt64(sender) &* 0x9e37_79b9)
  }

  static func headers(site: Int) -> [HTTPHeader] {
    [
      HTTPHeader("Authorization", "Basic \(Base64.encode("\(writeKey(site)):".utf8))"),
      HTTPHeader("Content-Type", "application/json"),
    ]
  }

  static func id(sender: Int, number: Int) -> String { "c-\(sender)-\(number)" }

  /// The sender and number of an id of this run, nil for another one.
  static func number(of id: String) -> (sender: Int, number: Int)? {
    let parts = id.split(separator: "-")
    guard parts.count == 3, parts[0] == "c", let sender = Int(parts[1]), let number = Int(parts[2])
    else { return nil }
    return (sender, number)
  }

  mutating func batch(now: Int64, count: Int = Wire.batchSize) -> Batch {
    let site = random.index(below: Self.sites.count)
    let first = next
    next += count
    var objects: [String] = []
    for number in first..<next { objects.append(event(number, now)) }
    var malformed = 0
    if random.happens(0.03) {
      malformed = 1
      objects.append("{\"type\":\"track\",\"messageId\":\"m-\(sender)-\(first)\"}")
    }
    objects.shuffle(using: &random)
    return Batch(
      body: Array("{\"batch\":[\(objects.joined(separator: ","))]}".utf8),
      headers: Self.headers(site: site),
      entry: Ledger.Entry(sender: sender, numbers: first..<next, site: site), malformed: malformed)
  }

  private mutating func event(_ number: Int, _ now: Int64) -> String {
    let person = random.index(below: Self.persons)
    var members = [
      "\"messageId\":\"\(Self.id(sender: sender, number: number))\"",
      "\"timestamp\":\"\(Timestamp.format(time(now)))\"", "\"anonymousId\":\"a\(person)\"",
    ]
    let kind = random.index(weights: [60, 20, 12, 4, 3, 1])
    // A third of the people become known by and by.
    if kind == 5 || person.isMultiple(of: 3) && random.happens(0.2) {
      members.append("\"userId\":\"u\(person / 2)\"")
    }
    switch kind {
    case 1: members.append("\"type\":\"page\"")
    case 5: members.append("\"type\":\"identify\"")
    default:
      let names = [
        "Content Impression", "", "Content Clicked", "Content Engaged", "Order Completed",
      ]
      members.append("\"type\":\"track\",\"event\":\"\(names[kind])\"")
    }
    members.append("\"properties\":{\(properties(isConversion: kind == 4))}")
    return "{\(members.joined(separator: ","))}"
  }

  private mutating func properties(isConversion: Bool) -> String {
    let busy = random.index(below: 40)
    let content = contents > 0 && random.happens(0.5) ? 40 + random.index(below: contents) : busy
    var text =
      "\"campaign_id\":\"campaign-\(content % 8)\",\"content_id\":\"content-\(content)\","
      + "\"variant_id\":\"\(random.happens(0.5) ? "a" : "b")\","
      + "\"channel\":\"\(random.element(["mail", "web", "social"]))\""
    if isConversion {
      let cents = random.index(below: 20_000)
      text += ",\"revenue\":\(cents / 100).\(cents % 100 / 10)\(cents % 10)"
      text += ",\"currency\":\"\(random.element(["EUR", "USD"]))\""
    }
    return text
  }

  private mutating func time(_ now: Int64) -> Int64 {
    if random.happens(0.002) { return now + 600 * Self.second }
    let range = Self.delays[random.index(weights: Self.delays.map(\.1))].0
    let length = Int(range.upperBound - range.lowerBound)
    let seconds = range.lowerBound + Int64(random.index(below: length))
    return now - seconds * Self.second - Int64(random.index(below: 1_000_000))
  }
}
