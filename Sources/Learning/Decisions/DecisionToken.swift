import Events

/// What a client carries from a decision to what comes of it, so that nothing is lost where the decision's own
/// event is: who decided what, among what chances.
///
/// Bytes, all numbers big-endian; as text in the alphabet of URLs (``Base64URL``), signed:
///
///     0        1   2            18      22        28      29     30            30+2n     +4      +8    +10
///     │version │flags│ decision  │ plan  │ time, ms│ arm   │ n   │ n chances   │ version │ digest│ MAC │
///
/// A chance is two bytes. In version 1 chances add up to 65,536, and all of that is written as 0xffff, which is told from
/// 65,535 by the others, which are 0 then; in version 2 they add up to ``Propensities/whole(of:)`` the number of arms.
/// Ten arms make 91 letters.
public struct DecisionToken: Hashable, Sendable {
  /// How it came about; kept in tokens and for ever.
  public struct Flags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The person takes no part: nothing is learned from it.
    public static let holdout = Flags(rawValue: 1)
    /// There was no model to decide by, so that it was the default arm.
    public static let fallback = Flags(rawValue: 2)
    /// The arm that the person had before.
    public static let repeated = Flags(rawValue: 4)
    /// Somebody else decided, and said with which chance.
    public static let elsewhere = Flags(rawValue: 8)

    /// Whether the arm was drawn with the chance that is said.
    var isDrawn: Bool { subtracting(.elsewhere).isEmpty }
  }

  public var id: DecisionID
  /// ``DecisionPlan/fingerprint``.
  public var plan: UInt32
  /// When it was decided, milliseconds since the epoch.
  public var timeMs: Int64
  public var chosen: Int
  public var propensities: Propensities
  /// ``DecisionPlan/version``.
  public var version: UInt32
  /// ``DecisionFeatures/digest``.
  public var features: UInt32
  public var flags: Flags

  /// Version 1 is written where both are the same.
  public static let formatVersion: UInt8 = 2
  public static let macByteCount = 10
  static let timeMsMax: Int64 = (1 << 48) - 1
  private static let fixedByteCount = 38

  /// - Precondition: the chosen arm is one of at most 255.
  public init(
    id: DecisionID, plan: UInt32, timeMs: Int64, chosen: Int, propensities: Propensities,
    version: UInt32, features: UInt32, flags: Flags
  ) {
    precondition(propensities.count <= DecisionPlan.armCountMax, "arms fit into a token")
    precondition(chosen >= 0 && chosen < propensities.count, "the chosen arm is one of the arms")
    self.id = id
    self.plan = plan
    self.timeMs = min(max(0, timeMs), Self.timeMsMax)
    self.chosen = chosen
    self.propensities = propensities
    self.version = version
    self.features = features
    self.flags = flags
  }

  /// When it was decided, microseconds since the epoch.
  public var time: Int64 { timeMs * 1_000 }

  /// Everything but the MAC.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = [
      propensities.whole == Propensities.wholeMax ? 1 : Self.formatVersion, flags.rawValue,
    ]
    bytes.reserveCapacity(Self.fixedByteCount + 2 * propensities.count + Self.macByteCount)
    Self.append(id.key.high, 8, to: &bytes)
    Self.append(id.key.low, 8, to: &bytes)
    Self.append(UInt64(plan), 4, to: &bytes)
    Self.append(UInt64(timeMs), 6, to: &bytes)
    bytes.append(UInt8(chosen))
    bytes.append(UInt8(propensities.count))
    for part in propensities.parts { Self.append(UInt64(min(part, 0xffff)), 2, to: &bytes) }
    Self.append(UInt64(version), 4, to: &bytes)
    Self.append(UInt64(features), 4, to: &bytes)
    return bytes
  }

  private static func append(_ value: UInt64, _ count: Int, to bytes: inout [UInt8]) {
    for index in (0..<count).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
    }
  }

  /// - Parameter bytes: of a token without its MAC.
  public init(bytes: some Collection<UInt8>) throws(DecisionTokenError) {
    var rest = bytes[...]
    func take(_ count: Int) throws(DecisionTokenError) -> UInt64 {
      guard rest.count >= count else { throw .tooShort }
      var value: UInt64 = 0
      for byte in rest.prefix(count) { value = value << 8 | UInt64(byte) }
      rest = rest.dropFirst(count)
      return value
    }
    let format = UInt8(try take(1))
    guard (1...Self.formatVersion).contains(format) else { throw .unknownVersion(format) }
    flags = Flags(rawValue: UInt8(try take(1)))
    let (high, low) = (try take(8), try take(8))
    id = DecisionID(Key128(low: low, high: high))
    plan = UInt32(try take(4))
    timeMs = Int64(try take(6))
    chosen = Int(try take(1))
    let count = Int(try take(1))
    guard chosen < count else { throw .armOutOfRange(chosen, count: count) }
    var parts: [UInt32] = []
    parts.reserveCapacity(count)
    for _ in 0..<count { parts.append(UInt32(try take(2))) }
    let sum = parts.reduce(0, +)
    if format == 1, sum == 0xffff, let only = parts.firstIndex(of: 0xffff) {
      parts[only] = Propensities.wholeMax
    }
    guard let propensities = Propensities(parts: parts),
      (propensities.whole == Propensities.wholeMax) == (format == 1)
    else { throw .chances(sum) }
    guard propensities.parts[chosen] > 0 else { throw .impossibleArm(chosen) }
    self.propensities = propensities
    version = UInt32(try take(4))
    features = UInt32(try take(4))
    guard rest.isEmpty else { throw .tooLong(by: rest.count) }
  }

  // MARK: As text

  /// - Parameter mac: of the bytes; its first ten count.
  public func text(mac: (_ bytes: [UInt8]) -> [UInt8]) -> String {
    let bytes = bytes
    return String(
      decoding: Base64URL.encode(bytes + mac(bytes).prefix(Self.macByteCount)), as: UTF8.self)
  }

  /// - Parameter isAuthentic: whether the second bytes are the beginning of the MAC of the first ones. It is asked
  ///   before anything else is looked at.
  public init(
    text: some Collection<UInt8>, isAuthentic: (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) throws(DecisionTokenError) {
    guard text.count <= Self.textByteCountMax else { throw .tooLong(by: text.count) }
    guard let signed = Base64URL.decode(text) else { throw .notBase64URL }
    guard signed.count > Self.macByteCount else { throw .tooShort }
    let bytes = Array(signed.dropLast(Self.macByteCount))
    guard isAuthentic(bytes, Array(signed.suffix(Self.macByteCount))) else { throw .notAuthentic }
    try self.init(bytes: bytes)
  }

  /// The shortest text that may be one, and the longest.
  static let textByteCountMin = (fixedByteCount + 2 + macByteCount) * 4 / 3
  static let textByteCountMax =
    (fixedByteCount + 2 * DecisionPlan.armCountMax + macByteCount) * 4 / 3 + 1
}

/// Why bytes are no token.
public enum DecisionTokenError: Error, Hashable, Sendable {
  case notBase64URL
  case notAuthentic
  case unknownVersion(UInt8)
  case tooShort
  case tooLong(by: Int)
  case armOutOfRange(Int, count: Int)
  case chances(UInt32)
  case impossibleArm(Int)
}

extension DecisionTokenError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notBase64URL: "a decision token is Base64 with the alphabet of URLs; send it as it came"
    case .notAuthentic:
      "the decision token was not signed here or has been changed; send it as it came"
    case .unknownVersion(let version):
      "a decision token of version \(version); known are 1 and \(DecisionToken.formatVersion)"
    case .tooShort: "a decision token is cut off; send it as it came"
    case .tooLong(let count): "a decision token has \(count) bytes too many; send it as it came"
    case .armOutOfRange(let arm, let count): "a decision token has arm \(arm) of \(count)"
    case .chances(let sum):
      "the chances of a decision token add up to \(sum); they must add up to 65536, or to the greatest multiple of the"
        + " number of arms below it"
    case .impossibleArm(let arm): "a decision token has arm \(arm), whose chance it says is 0"
    }
  }
}
