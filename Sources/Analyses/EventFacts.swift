/// What a payload says of its event beside dimensions, for those who look at single events: the same as breakdowns find.
public struct EventFacts: Sendable {
  private var values = PayloadValues(
    for: BreakdownQuestion(
      site: "", times: 0..<0, dimensions: [.country], measures: [.dwell]))

  public init() {}

  /// - Returns: the country, empty where it is not said; and the seconds in view that are reported.
  public mutating func read(
    _ payload: UnsafeRawBufferPointer
  ) -> (country: String, dwellSeconds: Double?) {
    values.read(payload)
    var country: [UInt8] = []
    values.append(.country, of: payload, to: &country)
    return (String(decoding: country, as: UTF8.self), values.dwell(payload))
  }
}
