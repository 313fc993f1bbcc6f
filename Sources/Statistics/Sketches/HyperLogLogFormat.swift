/// Bytes of a ``HyperLogLog``, version 1: `d1 01`, precision, form, and then
///
///     sparse (0)   number of entries; of each, in order of prefixes, (distance from the last − 1) << 1 as
///                  LEB128, with 1 added and a byte of the run behind where the prefix does not end it
///     packed (1)   least run, two registers a byte as run − least, low half first, 15 for an exception,
///                  and exceptions in order of registers as a LEB128 distance and the run
///
/// Packed it takes 2^p / 2 bytes and 2 to 3 for each register that is 15 or more above the least, of which
/// there are 1 in 10,000: 8.2 KB at p = 14. Sparse it takes some 3 bytes an entry.
extension HyperLogLog {
  private static let version: UInt8 = 1

  public func encoded() -> [UInt8] {
    var writer = SketchWriter(kind: .distinct, version: Self.version)
    writer.put(byte: UInt8(precision))
    writer.put(byte: isSparse ? 0 : 1)
    let (entries, registers) = state
    if isSparse {
      writer.put(UInt64(entries.count))
      var last: Int64 = -1
      for entry in entries {
        let run = entry & 63
        writer.put(UInt64(Int64(entry >> 6) - last - 1) << 1 | (run > 0 ? 1 : 0))
        if run > 0 { writer.put(byte: UInt8(run)) }
        last = Int64(entry >> 6)
      }
    } else {
      Self.pack(registers, into: &writer)
    }
    return writer.bytes
  }

  private static func pack(_ runs: [UInt8], into writer: inout SketchWriter) {
    let least = runs.min() ?? 0
    writer.put(byte: least)
    var exceptions: [Int] = []
    func half(_ index: Int) -> UInt8 {
      let above = runs[index] - least
      if above >= 15 { exceptions.append(index) }
      return min(15, above)
    }
    for index in stride(from: 0, to: runs.count, by: 2) {
      let low = half(index)
      writer.put(byte: low | half(index + 1) << 4)
    }
    var last = -1
    for index in exceptions {
      writer.put(UInt64(index - last - 1))
      writer.put(byte: runs[index])
      last = index
    }
  }

  public init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
    var reader = try SketchReader(
      bytes, kind: .distinct, name: "a sketch of distinct counts", version: Self.version)
    let precision = Int(try reader.byte("precision"))
    guard precision >= 4, precision <= 18 else { throw .damaged(field: "precision", at: 2) }
    switch try reader.byte("form") {
    case 0: self = try Self.sparse(&reader, try HyperLogLog(precision: precision))
    case 1: self = try Self.packed(&reader, precision)
    default: throw .damaged(field: "form", at: 3)
    }
    try reader.end()
  }

  private static func sparse(
    _ reader: inout SketchReader, _ empty: HyperLogLog
  ) throws(SketchError) -> HyperLogLog {
    let count = try reader.number("number of entries")
    guard count <= UInt64(reader.left) else { throw .damaged(field: "number of entries", at: 4) }
    var entries: [UInt32] = []
    entries.reserveCapacity(Int(count))
    var next: UInt64 = 0
    for _ in 0..<count {
      let begin = reader.place
      let number = try reader.number("entry")
      next += number >> 1
      guard number >> 1 < 1 << prefixBits, next < 1 << prefixBits else {
        throw .damaged(field: "entry", at: begin)
      }
      let prefix = UInt32(next)
      guard empty.isOpen(prefix) == (number & 1 == 1) else {
        throw .damaged(field: "entry", at: begin)
      }
      let run = number & 1 == 1 ? UInt32(try reader.byte("run")) : 0
      guard run <= prefixRunMax, number & 1 == 0 || run > 0 else {
        throw .damaged(field: "run", at: begin)
      }
      entries.append(prefix << 6 | run)
      next += 1
    }
    guard let sketch = HyperLogLog(precision: empty.precision, entries: entries) else {
      throw .damaged(field: "number of entries", at: 4)
    }
    return sketch
  }

  private static func packed(
    _ reader: inout SketchReader, _ precision: Int
  ) throws(SketchError) -> HyperLogLog {
    let most = UInt8(65 - precision)
    let least = try reader.byte("least run")
    guard least <= most else { throw .damaged(field: "least run", at: 4) }
    let halves = try reader.slice(1 << (precision - 1), "registers")
    var registers = [UInt8](repeating: 0, count: 1 << precision)
    var next: UInt64 = 0
    for index in registers.indices {
      let above = index & 1 == 0 ? halves[index / 2] & 15 : halves[index / 2] >> 4
      var run = least + above
      if above == 15 {
        let begin = reader.place
        let distance = try reader.number("exception")
        guard distance <= UInt64(1 << precision), next + distance == UInt64(index) else {
          throw .damaged(field: "exception", at: begin)
        }
        run = try reader.byte("exception")
        guard run >= least + 15 else { throw .damaged(field: "exception", at: begin) }
        next = UInt64(index) + 1
      }
      guard run <= most else { throw .damaged(field: "register", at: 5 + index / 2) }
      registers[index] = run
    }
    return HyperLogLog(precision: precision, registers: registers)
  }
}
