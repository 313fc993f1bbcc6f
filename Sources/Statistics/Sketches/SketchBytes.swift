/// Why bytes are not a sketch.
public enum SketchError: Error, Equatable, CustomStringConvertible {
  case notASketch(expected: StaticString)
  case version(UInt8, supported: UInt8)
  /// A field, or the place behind which bytes are missing or too many.
  case damaged(field: StaticString, at: Int)
  case parameter(name: StaticString, value: Double, allowed: StaticString)
  /// Two sketches that were made with other parameters can't be merged.
  case mismatch(StaticString)

  public var description: String {
    switch self {
    case .notASketch(let expected):
      "the bytes are not \(expected): their first byte says something else"
    case .version(let version, let supported):
      "version \(version) of the bytes; this program reads \(supported): read it with a newer one"
    case .damaged(let field, let place):
      "\(field) at byte \(place) is damaged: compute the state again from the log"
    case .parameter(let name, let value, let allowed):
      "\(name) is \(value); it must be \(allowed)"
    case .mismatch(let name):
      "two sketches of another \(name) can't be merged: make both with the same parameters"
    }
  }

  public static func == (left: Self, right: Self) -> Bool { left.description == right.description }

  static func check(
    _ name: StaticString, _ value: Double, _ holds: Bool, _ allowed: StaticString
  ) throws(SketchError) {
    guard holds else { throw .parameter(name: name, value: value, allowed: allowed) }
  }
}

/// Bytes of a sketch or of an experiment's state as they are written: kind and version first, numbers as LEB128.
struct SketchWriter {
  private(set) var bytes: [UInt8]

  init(kind: SketchKind, version: UInt8) { bytes = [kind.rawValue, version] }

  mutating func put(byte: UInt8) { bytes.append(byte) }

  mutating func put(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func put(_ value: Double) {
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func put(_ values: [Double]) {
    put(UInt64(values.count))
    for value in values { put(value) }
  }

  mutating func put(_ counts: ArmCounts) {
    put(UInt64(counts.visitors))
    put(UInt64(counts.conversions))
  }
}

/// The first byte of each format, never used again for another.
enum SketchKind: UInt8 {
  case distinct = 0xd1
  case quantiles = 0xd2
  case top = 0xd3
  case novelty = 0xd4
  case rates = 0xd5
  case forecast = 0xd6
  case sequentialTest = 0xe1
  case evidence = 0xe2
  case sampleRatio = 0xe3
}

/// Reads what ``SketchWriter`` wrote, and says where bytes that it did not write are wrong.
struct SketchReader {
  /// More than any log has, and few enough for a thousand of them to add up.
  static let countMax: UInt64 = 1 << 53

  private let bytes: UnsafeRawBufferPointer
  private(set) var place = 2

  init(
    _ bytes: UnsafeRawBufferPointer, kind: SketchKind, name: StaticString, version: UInt8
  ) throws(SketchError) {
    guard let first = bytes.first, first == kind.rawValue else { throw .notASketch(expected: name) }
    guard bytes.count >= 2 else { throw .damaged(field: "version", at: 1) }
    guard bytes[1] == version else { throw .version(bytes[1], supported: version) }
    self.bytes = bytes
  }

  var left: Int { bytes.count - place }

  mutating func byte(_ field: StaticString) throws(SketchError) -> UInt8 {
    guard place < bytes.count else { throw .damaged(field: field, at: place) }
    place += 1
    return bytes[place - 1]
  }

  /// Only the shortest form of a number is one, so that a sketch has one form.
  mutating func number(_ field: StaticString) throws(SketchError) -> UInt64 {
    let begin = place
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = try byte(field)
      guard shift < 63 || next <= 1 else { throw .damaged(field: field, at: begin) }
      value |= UInt64(next & 0x7f) << shift
      if next < 0x80 {
        guard next != 0 || shift == 0 else { throw .damaged(field: field, at: begin) }
        return value
      }
      shift += 7
      guard shift <= 63 else { throw .damaged(field: field, at: begin) }
    }
  }

  mutating func double(_ field: StaticString) throws(SketchError) -> Double {
    guard left >= 8 else { throw .damaged(field: field, at: place) }
    let bits = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
    place += 8
    return Double(bitPattern: UInt64(littleEndian: bits))
  }

  mutating func slice(_ count: Int, _ field: StaticString) throws(SketchError)
    -> UnsafeRawBufferPointer
  {
    guard count >= 0, count <= left else { throw .damaged(field: field, at: place) }
    place += count
    return UnsafeRawBufferPointer(rebasing: bytes[place - count..<place])
  }

  /// Not infinite and not a nonnumber.
  mutating func finite(_ field: StaticString) throws(SketchError) -> Double {
    let begin = place
    let value = try double(field)
    guard value.isFinite else { throw .damaged(field: field, at: begin) }
    return value
  }

  mutating func finite(_ field: StaticString, count: ClosedRange<Int>) throws(SketchError)
    -> [Double]
  {
    let begin = place
    let number = try number(field)
    guard number <= UInt64(count.upperBound), number >= UInt64(count.lowerBound),
      number <= UInt64(left / 8)
    else { throw .damaged(field: field, at: begin) }
    var values: [Double] = []
    values.reserveCapacity(Int(number))
    for _ in 0..<number { values.append(try finite(field)) }
    return values
  }

  mutating func counts(_ field: StaticString) throws(SketchError) -> ArmCounts {
    let begin = place
    let visitors = try number(field)
    let conversions = try number(field)
    guard visitors <= Self.countMax, conversions <= visitors else {
      throw .damaged(field: field, at: begin)
    }
    return ArmCounts(visitors: Int(visitors), conversions: Int(conversions))
  }

  func end() throws(SketchError) {
    guard left == 0 else { throw .damaged(field: "end", at: place) }
  }
}
