import Events

/// What happened, in one sentence for people:
///
///     clicks of campaign spring are 62 % below what is usual for so many impressions on a Monday at 10,
///     since 10:15; mostly variant b
public struct IncidentSummary: Sendable {
  /// Where its reader's clocks stand.
  public struct LocalClock: Sendable {
    /// East of UTC at an instant, microseconds.
    public var offset: @Sendable (Int64) -> Int64
    /// Behind times; empty where the reader knows.
    public var label: String

    public init(label: String = "", offset: @escaping @Sendable (Int64) -> Int64) {
      self.label = label
      self.offset = offset
    }

    public static let utc = LocalClock(label: " UTC") { _ in 0 }
  }

  private let row: IncidentRow
  private let clock: LocalClock

  public init(_ row: IncidentRow, clock: LocalClock) {
    self.row = row
    self.clock = clock
  }

  public var text: String {
    let verb = row.end == nil ? "are" : "were"
    var text = "\(quantity) of \(subject) \(verb) \(deviation) what is usual\(measure)"
    text += " on a \(weekday) at \(local(row.begin).minutes / 60), "
    if let end = row.end {
      text += "from \(time(row.begin)) to \(time(end))\(clock.label)"
    } else {
      text += "since \(time(row.begin))\(clock.label)"
    }
    if let contributor = row.contributor {
      let value = contributor.value.isEmpty ? "(none)" : contributor.value
      text += "; mostly \(contributor.dimension.name) \(value)"
    }
    return text
  }

  private var quantity: String {
    switch row.kind {
    case .trafficDown, .trafficUp: "impressions"
    case .rateDown, .rateUp: "clicks"
    case .conversionDown, .conversionUp: "conversions"
    }
  }

  private var measure: String {
    switch row.kind {
    case .trafficDown, .trafficUp: ""
    case .rateDown, .rateUp: " for so many impressions"
    case .conversionDown, .conversionUp: " for so many clicks"
    }
  }

  private var subject: String {
    switch (row.campaign.isEmpty, row.content.isEmpty) {
    case (true, true): "the whole site \(row.site)"
    case (false, true): "campaign \(row.campaign)"
    case (true, false): "content \(row.content)"
    case (false, false): "content \(row.content) of campaign \(row.campaign)"
    }
  }

  /// `62 % below`, `3.4 times`; both are followed by what it is compared with.
  private var deviation: String {
    guard let change = row.change else { return "\(row.observed), which is not" }
    if change >= 1 {
      let tenths = Int64((min(change, 1e12) * 10 + 10).rounded())
      return tenths >= 100 ? "\(tenths / 10) times" : "\(tenths / 10).\(tenths % 10) times"
    }
    let percent = Int((abs(change) * 100).rounded())
    return "\(percent) % \(change < 0 ? "below" : "above")"
  }

  private static let dayMicros: Int64 = 86_400_000_000

  private func local(_ instant: Int64) -> (day: Int64, minutes: Int64) {
    let local = instant + clock.offset(instant)
    let time = ((local % Self.dayMicros) + Self.dayMicros) % Self.dayMicros
    return ((local - time) / Self.dayMicros, time / 60_000_000)
  }

  /// 1970-01-01 was a Thursday.
  private var weekday: String {
    let names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"]
    return names[Int(((local(row.begin).day % 7) + 7) % 7)]
  }

  private func time(_ instant: Int64) -> String {
    let minutes = local(instant).minutes
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "\(two(minutes / 60)):\(two(minutes % 60))"
  }
}
