/// Calls of a browser as a collector keeps them, for benchmarks of what payloads are read for.
struct BrowserCalls {
  private static let agents = [
    "Chrome 126/Windows/desktop", "Chrome 126/Android/mobile", "Safari 17/iOS/mobile",
    "Safari 17/macOS/desktop", "Firefox 127/Windows/desktop", "Edge 126/Windows/desktop",
    "Samsung Internet 25/Android/mobile", "Chrome 125/macOS/desktop",
  ]
  private static let sources = ["newsletter", "google", "facebook", "linkedin", "partner", "bing"]
  private static let mediums = ["email", "cpc", "social", "referral"]
  private static let countries = ["DE", "FR", "US", "GB", "IT", "ES", "NL", "PL"]

  /// - Parameter number: below 8.
  func agent(_ number: Int) -> String { Self.agents[number] }

  /// A `track` call of analytics.js with its context.
  func payload(_ index: Int, _ random: inout FrameWorkload.Random) -> [UInt8] {
    let source = Self.sources[Int(random.next() % 6)]
    let medium = Self.mediums[Int(random.next() % 4)]
    let country = Self.countries[Int(random.next() % 8)]
    let page = random.next() % 500
    let text = """
      {"type":"track","event":"Content Impression","messageId":"ajs-next-\(index)",\
      "anonymousId":"0f4c2a1e-9c1b-4d52-8a57-\(index)","timestamp":"2026-11-01T12:00:00.000Z",\
      "properties":{"campaign_id":"spring","content_id":"post-\(page)","position":\(page % 10)},\
      "context":{"page":{"path":"/articles/\(page)","referrer":"https://www.google.com/",\
      "title":"The article \\"\(page)\\"","url":"https://example.org/articles/\(page)?x=1"},\
      "campaign":{"name":"spring","source":"\(source)","medium":"\(medium)"},\
      "locale":"en-US","library":{"name":"analytics.js","version":"next-1.70.0"},\
      "location":{"country":"\(country)"},"timezone":"Europe/Berlin"},"integrations":{}}
      """
    return Array(text.utf8)
  }
}
