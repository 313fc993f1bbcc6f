/// What the tracking code sees of a visitor beside who it is: always the same for the same person.
struct DemoVisitor: Hashable, Sendable {
  var agent: String
  /// ISO 3166.
  var country: String
  /// `utm_source` and `utm_medium`.
  var source: String
  var medium: String

  static let botAgent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
  private static let agents = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.5; rv:131.0) Gecko/20100101 Firefox/131.0",
  ]
  private static let countries = ["DE", "DE", "DE", "AT", "CH", "FR", "GB", "US"]
  private static let sources = [
    ("google", "cpc"), ("google", "organic"), ("newsletter", "email"), ("instagram", "social"),
    ("partner.example", "referral"),
  ]

  init(_ person: DemoPerson) {
    let hash = DemoExperiment.hash(Array(person.name.utf8))
    agent = person.isBot ? Self.botAgent : Self.agents[Int(hash % 6)]
    country = Self.countries[Int((hash >> 4) % 8)]
    (source, medium) = Self.sources[Int((hash >> 8) % 5)]
  }
}
