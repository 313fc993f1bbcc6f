@testable import Collector
@testable import Events
import HTTPServer

/// What the gates read of requests and of files beside them: user agents, addresses, personal data in
/// whatever stands in an event, rules on bots.
enum EdgeTargets {
  private static let agents = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0; +https://openai.com/bot)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
    "Chrome 126/Linux/desktop/HeadlessChrome", "python-requests/2.31", "Mozilla/5.0",
  ]
  private static let texts = [
    "write to ann@example.org or +49 (30) 1234-5678, card 4111 1111 1111 1111",
    "https://example.org/?mail=ann%2540example.org&tel=%2B493012345678", "logo@2x.png 01.02.2026",
  ]
  private static let payloads = [
    #"{"context":{"ip":"203.0.113.9","userAgent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0","traits":{"email":"a"}},"userId":"ann@example.org","properties":{"note":"call 030 1234567","deep":"{\"firstName\":\"Ann\"}"}}"#,
    "k=dev&uid=ann%40example.org&t=click&firstName=Ann", #"{"password":"x","a":["#,
  ]
  private static let rules =
    #"{"version":3,"deciding":["crawler","rate"],"agents":{"crawler":["googlebot"],"headless":[]},"events_in_5s":30,"clicks_in_1m":60}"#

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "agent", seeds: agents.map(\.bytes),
      words: [
        "Mozilla/5.0", "Chrome/", "HeadlessChrome/", "Version/", "Safari/", "(", ")", ";", "/",
        "bot", "Android", "iPad", "Linux", "MSIE ", "Trident/", " ", ",", "desktop", "é",
      ], run: agent),
    FuzzTarget(
      "address",
      seeds: [
        "203.0.113.0/24\n2001:db8::/32 # a cloud\n\n::/0".bytes, "203.0.113.9, 2001:db8::1".bytes,
        "::ffff:203.0.113.9".bytes, "fe80::1%eth0".bytes, "1:2:3:4:5:6:7:8/128".bytes,
      ], words: ["::", ":", ".", "/", "255", "ffff", "\n", "#", ",", "%", "+"], run: address),
    FuzzTarget(
      "personal-text", seeds: texts.map(\.bytes),
      words: [
        "@", "%40", "%2540", ".org", "+49 ", "030 ", "(", ")", "-", " ", "4111", "1111", "123",
        "[mail]", "%", "é",
      ], regressions: ["ada@example.org+442079460958".bytes], run: personalText),
    FuzzTarget(
      "privacy", seeds: payloads.map(\.bytes),
      words: words(
        ["email", "ip", "userAgent", "firstName", "userId"], ["=", "&", "%40", "@x.org"]),
      run: privacy),
    FuzzTarget(
      "bot-rules", seeds: [rules.bytes],
      words: words(["version", "deciding", "agents", "crawler", "events_in_5s"]), run: botRules),
  ]

  /// What was kept of an agent is kept of it again, and no label holds what could be a person's.
  @Sendable private static func agent(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let agent = Agent(text(input))
    let label = agent.label
    try BrokenLaw.unless(Agent(label).label == label, "a label is the label of itself")
    try BrokenLaw.unless(
      !label.utf8.contains(UInt8(ascii: "@")) && label.utf8.count <= 400, "a label is short")
  }

  /// A network has itself as its network, and a list contains what stands in it.
  @Sendable private static func address(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let text = text(input)
    if let network = NetworkAddress.truncated(text) {
      try BrokenLaw.unless(
        NetworkAddress.truncated(network) == network, "a network is its own network")
    }
    do throws(AddressRangeError) {
      let ranges = try AddressRanges(text)
      for line in text.split(separator: "\n") {
        let range = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
        let address = String(range.prefix { $0 != "/" })
        try contains(ranges, address)
      }
    } catch {
      // The line is named.
    }
  }

  private static func contains(
    _ ranges: AddressRanges, _ address: String
  ) throws(AddressRangeError) {
    precondition(address.isEmpty || ranges.contains(address), "a list contains what is in it")
  }

  /// What is found stands in the text, in order; the rest stays as it was.
  @Sendable private static func personalText(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let findings = PersonalText.find(in: input)
    try BrokenLaw.unless(
      findings == PersonalText.read(input), "the first look at a text passes over nothing")
    var end = 0
    for finding in findings {
      try BrokenLaw.unless(
        finding.range.lowerBound >= end && !finding.range.isEmpty
          && finding.range.upperBound <= input.count, "findings stand in order")
      end = finding.range.upperBound
    }
    let removed = PersonalText.removed(from: input)
    try BrokenLaw.unless((removed == nil) == findings.isEmpty, "what is found is removed")
    guard let removed else { return }
    let again = removed.withUnsafeBytes { PersonalText.removed(from: $0) }
    try BrokenLaw.unless(again == nil, "where all was removed there is nothing more")
  }

  private static let gate = PrivacyGate()
  private static let key = ProtocolTargets.key("dev")

  /// JSON stays JSON, and once through the gate is enough; of what is no JSON only dead letters are kept.
  @Sendable private static func privacy(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let facts = RequestFacts(userAgent: "", clientAddress: "", header: { _ in nil })
    var event = FrameTargets.event()
    event.payload = Array(input)
    do throws(Refusal) {
      _ = try gate.admit(&event, facts, key)
      let once = event.payload
      _ = try gate.admit(&event, facts, key)
      precondition(event.payload == once, "what is clean stays as it is")
    } catch {
      try BrokenLaw.unless(
        event.payload.elementsEqual(input), "what is clean is read like what was not")
    }
    let rejection = Rejection(
      Refusal(.malformedJSON, "a detail"), place: "segment /v1/batch body", body: input)
    _ = gate.clean(rejection, facts, key, protocolName: "segment")
  }

  /// Rules come back from their text.
  @Sendable private static func botRules(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let text = written(input) else { return }
    let again = text.withUnsafeBytes { written($0) }
    try BrokenLaw.unless(again == text, "rules come back from their text")
  }

  private static func written(_ input: UnsafeRawBufferPointer) -> [UInt8]? {
    var scanner = JSONScanner(input)
    do throws(JSONError) {
      guard let rules = try BotRules.read(&scanner) else { return nil }
      var json = JSONWriter()
      rules.write(to: &json)
      return json.bytes
    } catch {
      return nil
    }
  }
}
