/// Values by name, looked up by UTF-8 bytes without allocation.
///
/// Built once from a configuration and read for every event, hence an immutable open-addressing
/// table, at most half full, over one array of bytes. About 10 ns a lookup. Names come from
/// the operator's own files, so the hash needs no secret.
public struct NameTable<Value: Hashable & Sendable>: Hashable, Sendable {
  private var text: [UInt8] = []
  private var entries: [Entry] = []
  /// Index into `entries`, or -1; a power of two of them.
  private var slots: [Int32]

  private struct Entry: Hashable {
    var start: Int
    var count: Int
    var value: Value
  }

  public init(_ values: [String: Value] = [:]) {
    var size = 8
    while size < values.count * 2 { size *= 2 }
    slots = Array(repeating: -1, count: size)
    // Sorted, so that equal contents make equal tables.
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      let start = text.count
      text.append(contentsOf: name.utf8)
      let place = text.withUnsafeBytes { bytes in
        slot(of: UnsafeRawBufferPointer(rebasing: bytes[start...]))
      }
      slots[place] = Int32(entries.count)
      entries.append(Entry(start: start, count: text.count - start, value: value))
    }
  }

  public var count: Int { entries.count }

  public subscript(_ name: UnsafeRawBufferPointer) -> Value? {
    let index = slots[slot(of: name)]
    return index < 0 ? nil : entries[Int(index)].value
  }

  public subscript(_ name: JSONString) -> Value? {
    name.isEscaped ? self[name.string] : self[name.bytes]
  }

  public subscript(_ name: String) -> Value? {
    var name = name
    return name.withUTF8 { self[UnsafeRawBufferPointer($0)] }
  }

  /// Names and values in order of name.
  public var all: [(name: String, value: Value)] {
    entries.map {
      (String(decoding: text[$0.start..<$0.start + $0.count], as: UTF8.self), $0.value)
    }
  }

  /// Where the name is, or the empty slot where it belongs.
  private func slot(of name: UnsafeRawBufferPointer) -> Int {
    let mask = slots.count - 1
    var place = Int(truncatingIfNeeded: Self.hash(name)) & mask
    while slots[place] >= 0, !matches(entries[Int(slots[place])], name) {
      place = (place + 1) & mask
    }
    return place
  }

  private func matches(_ entry: Entry, _ name: UnsafeRawBufferPointer) -> Bool {
    guard entry.count == name.count else { return false }
    for index in 0..<name.count where text[entry.start + index] != name[index] { return false }
    return true
  }

  /// Multiply and fold, eight bytes a step; the constant is 2^64 divided by the golden ratio.
  private static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
    var hash = UInt64(name.count)
    func mix(_ word: UInt64) {
      hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
      hash ^= hash >> 32
    }
    var index = 0
    while index + 8 <= name.count {
      mix(UInt64(littleEndian: name.loadUnaligned(fromByteOffset: index, as: UInt64.self)))
      index += 8
    }
    var rest: UInt64 = 0
    while index < name.count {
      rest = rest << 8 | UInt64(name[index])
      index += 1
    }
    mix(rest)
    return hash
  }
}
