import Events

/// Dimension tuples by number, in order of their appearance.
public final class TupleNumbers {
  /// Encoded ``DimensionTuple``s by number.
  public private(set) var tuples: [[UInt8]] = []
  private var numbers: [[UInt8]: Int] = [:]

  public init() {}

  public func number(of encoded: [UInt8]) -> Int {
    if let number = numbers[encoded] { return number }
    tuples.append(encoded)
    numbers[encoded] = tuples.count - 1
    return tuples.count - 1
  }

  /// The identity in read models.
  public func identifier(_ number: Int) -> Int64 {
    tuples[number].withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
  }

  /// The tuple that counts for another one where there are too many: its site, currency and
  /// traffic are kept.
  public func other(of number: Int) -> Int {
    let tuple = tuples[number].withUnsafeBytes { DimensionTuple(encoded: $0) }
    return self.number(
      of: DimensionTuple(
        site: tuple?.site ?? "", campaign: "(other)", content: "(other)", variant: "(other)",
        channel: "(other)", currency: tuple?.currency ?? "", traffic: tuple?.traffic ?? ""
      ).encoded)
  }
}
