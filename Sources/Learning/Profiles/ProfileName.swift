/// What a preference is for.
public enum PreferenceKind: UInt32, CaseIterable, Sendable {
  case topic = 1
  case content, channel, campaign, device
  /// Of the day, 0 to 23 in UTC.
  case hour
  case country

  public var name: String {
    switch self {
    case .topic: "topic"
    case .content: "content"
    case .channel: "channel"
    case .campaign: "campaign"
    case .device: "device"
    case .hour: "hour"
    case .country: "country"
    }
  }

  public init?(name: some StringProtocol) {
    guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = kind
  }
}

/// A preference by number: its kind, and the number of its name.
public struct PreferenceKey: Hashable, Sendable {
  public let raw: UInt32

  static let numberMax: UInt32 = 1 << 28 - 1

  init(_ kind: PreferenceKind, _ number: UInt32) { raw = kind.rawValue << 28 | number }

  public var kind: PreferenceKind? { PreferenceKind(rawValue: raw >> 28) }
  /// Of an hour the hour itself, of others a number of ``ProfileNames``.
  public var number: Int { Int(raw & Self.numberMax) }
}

/// Names by number, in the order in which they came: numbers stay within a process.
public struct ProfileNames: Sendable {
  public private(set) var texts: [String] = []
  private var numbers: [String: UInt32] = [:]
  let countMax: Int
  /// Names for which there was no place any more.
  public private(set) var turnedAway: UInt64 = 0

  init(countMax: Int) { self.countMax = countMax }

  func number(of text: String) -> UInt32? { numbers[text] }

  mutating func intern(_ text: String) -> UInt32? {
    if let number = numbers[text] { return number }
    guard texts.count < countMax else {
      turnedAway += 1
      return nil
    }
    let number = UInt32(texts.count)
    texts.append(text)
    numbers[text] = number
    return number
  }
}
