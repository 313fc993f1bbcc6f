public import Events
public import States

/// What was known when something was decided, as it was: names and plain values, in order of name.
public struct DecisionFeatures: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case number(Double)
    case text(String)
    case flag(Bool)
  }

  public struct Feature: Hashable, Sendable {
    public var name: String
    public var value: Value

    public init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }

  public let all: [Feature]

  /// How many a decision may have, and how long their names and texts may be, in UTF-8 bytes.
  public static let countMax = 64
  public static let bytesMax = 256

  public static let none = DecisionFeatures([])

  /// Of features with the same name the last one counts. Numbers that are none, and what is too long or one too
  /// many in order of name, is left out.
  public init(_ features: [Feature]) {
    var byName: [String: Value] = [:]
    for feature in features where Self.isAllowed(feature) { byName[feature.name] = feature.value }
    all = byName.map { Feature($0.key, $0.value) }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
      .prefix(Self.countMax).map { $0 }
  }

  private static func isAllowed(_ feature: Feature) -> Bool {
    guard !feature.name.isEmpty, feature.name.utf8.count <= bytesMax else { return false }
    return switch feature.value {
    case .number(let number): number.isFinite
    case .text(let text): text.utf8.count <= bytesMax
    case .flag: true
    }
  }

  public subscript(name: String) -> Value? { all.first { $0.name == name }?.value }

  public var isEmpty: Bool { all.isEmpty }

  /// Those of some names.
  public func only(_ names: [String]) -> DecisionFeatures {
    DecisionFeatures(all.filter { names.contains($0.name) })
  }

  /// Tells them from others, in tokens; 0 where there are none.
  public var digest: UInt32 {
    guard !isEmpty else { return 0 }
    var json = JSONWriter()
    write(to: &json)
    return json.bytes.withUnsafeBytes { UInt32(truncatingIfNeeded: SipHash128.hash($0).low) }
  }

  public func write(to json: inout JSONWriter) {
    json.beginObject()
    for feature in all {
      json.key(feature.name)
      switch feature.value {
      case .number(let number): json.double(number)
      case .text(let text): json.string(text)
      case .flag(let flag): json.bool(flag)
      }
    }
    json.endObject()
  }

  /// Reads an object; members that are lists, objects or `null` are no features.
  public init(_ json: inout JSONScanner) throws(JSONError) {
    var features: [Feature] = []
    try json.beginObject()
    while let key = try json.nextKey() {
      switch try json.peek() {
      case .number:
        let text = String(decoding: try json.numberText(), as: UTF8.self)
        if let number = Double(text) { features.append(Feature(key.string, .number(number))) }
      case .string: features.append(Feature(key.string, .text(try json.string())))
      case .boolean: features.append(Feature(key.string, .flag(try json.bool())))
      case .object, .array, .null: try json.skipValue()
      }
    }
    self.init(features)
  }
}

extension DecisionFeatures: CodedElement {
  public static var blank: Self { none }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var features = all
    try codec.code(&features)
    if codec.isReading { self = DecisionFeatures(features) }
  }
}

extension DecisionFeatures.Feature: CodedElement {
  public static var blank: Self { Self("", .flag(false)) }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&name)
    try codec.code(&value)
  }
}

extension DecisionFeatures.Value: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var (kind, number, text, flag): (UInt8, Double, String, Bool) = (0, 0, "", false)
    switch self {
    case .number(let value): number = value
    case .text(let value): (kind, text) = (1, value)
    case .flag(let value): (kind, flag) = (2, value)
    }
    try codec.code(&kind)
    switch kind {
    case 0:
      try codec.code(&number)
      self = .number(number)
    case 1:
      try codec.code(&text)
      self = .text(text)
    case 2:
      try codec.code(&flag)
      self = .flag(flag)
    default: throw .malformed("\(kind) is no kind of feature")
    }
  }
}
