/// The invented shop whose traffic is sent: what it publishes, where, and how well it really works.
///
/// The rates are hidden from SmartContent: what its pages show must come out near them, and its
/// counts must equal the truth exactly.
struct DemoCatalog: Sendable {
  struct Campaign: Sendable {
    var name: String
    var contents: [Content]
    /// How often sessions come for it, relative to the other campaigns.
    var weight: Double
    /// ISO 4217.
    var currency: String
    /// From a click to a conversion.
    var conversionRate: Double
  }

  struct Content: Sendable {
    var name: String
    var variants: [Variant]
  }

  struct Variant: Sendable {
    var name: String
    /// The probability of a click after an impression, before channel and hour move it.
    var clickRate: Double
  }

  struct Channel: Sendable {
    var name: String
    /// Share of the sessions in the hour of its ``busiestHour``, relative to the other channels.
    var weight: Double
    var clickFactor: Double
    /// UTC, 0 to 23.
    var busiestHour: Int
    /// How much of the weight is left twelve hours away from the busiest hour, 0 to 1.
    var quietShare: Double

    /// Falls linearly with the distance on the clock's face.
    func weight(hour: Int) -> Double {
      let apart = abs(hour - busiestHour)
      let distance = Double(min(apart, 24 - apart)) / 12
      return weight * (1 - distance * (1 - quietShare))
    }
  }

  var campaigns: [Campaign]
  var channels: [Channel]

  static let shop = DemoCatalog(
    campaigns: [
      Campaign(
        name: "spring-sale",
        contents: [
          Content(name: "spring-hero", variants: variants(0.055, 0.081, 0.047)),
          Content(name: "spring-carousel", variants: variants(0.038, 0.029)),
          Content(name: "spring-story", variants: variants(0.064, 0.066)),
        ], weight: 5, currency: "EUR", conversionRate: 0.12),
      Campaign(
        name: "sneaker-launch",
        contents: [
          Content(name: "sneaker-teaser", variants: variants(0.031, 0.052)),
          Content(name: "sneaker-review", variants: variants(0.094, 0.071, 0.083)),
        ], weight: 3, currency: "USD", conversionRate: 0.08),
      Campaign(
        name: "weekly-newsletter",
        contents: [
          Content(name: "newsletter-top-story", variants: variants(0.118, 0.142)),
          Content(name: "newsletter-footer", variants: variants(0.017, 0.021)),
        ], weight: 2, currency: "EUR", conversionRate: 0.05),
      Campaign(
        name: "win-back",
        contents: [Content(name: "win-back-offer", variants: variants(0.024, 0.039, 0.033))],
        weight: 1, currency: "USD", conversionRate: 0.15),
    ],
    channels: [
      Channel(name: "web", weight: 5, clickFactor: 1, busiestHour: 14, quietShare: 0.4),
      Channel(name: "instagram", weight: 3, clickFactor: 0.8, busiestHour: 20, quietShare: 0.3),
      Channel(name: "email", weight: 2, clickFactor: 1.4, busiestHour: 7, quietShare: 0.2),
      Channel(name: "linkedin", weight: 1, clickFactor: 0.6, busiestHour: 9, quietShare: 0.1),
    ])

  private static func variants(_ clickRates: Double...) -> [Variant] {
    clickRates.enumerated().map { index, clickRate in
      Variant(name: String(UnicodeScalar(UInt8(ascii: "a") + UInt8(index))), clickRate: clickRate)
    }
  }
}
