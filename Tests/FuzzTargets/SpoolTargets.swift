@testable import Collector
import Events

/// What a collector finds in the files of its spool when it starts: whatever a crash or a disk has left.
enum SpoolTargets {
  static let all: [FuzzTarget] = [
    FuzzTarget(
      "spool", seeds: [SpoolSegment.magic, file(1), file(3), file(3).dropLast(5) + []],
      words: ["SCSPOOL1", "events-00", "\u{0}\u{0}\u{0}\u{0}", "\u{18}\u{0}\u{0}\u{0}"],
      regressions: [unreadableName]
    ) { (input) throws(BrokenLaw) in
      try read(input)
      // With the checksums put right, records are taken whatever they hold.
      let mended = mended(input)
      try mended.span.bytes.withUnsafeBytes { bytes throws(BrokenLaw) in try read(bytes) }
    }
  ]

  /// Three bytes of a stream's name are no UTF-8, and what stands for them is as long.
  private static var unreadableName: [UInt8] {
    var file = file(1)
    let name = SpoolSegment.magic.count + SpoolSegment.headByteCount
    file.replaceSubrange(name..<name + 3, with: [0xf1, 0xb1, 0x9a])
    return file
  }

  private static func file(_ count: Int) -> [UInt8] {
    var file = SpoolSegment.magic
    for index in 0..<count {
      file += SpoolSegment.encode(
        SpoolSegment.Content(
          stream: "events-0\(index)", messageID: "p-\(index)",
          frame: [UInt8](repeating: 7, count: index * 9)),
        writtenAt: 1_795_424_400_000_000)
    }
    return file
  }

  /// The same bytes, each record that can be told with its checksum.
  private static func mended(_ input: UnsafeRawBufferPointer) -> [UInt8] {
    var bytes = Array(input)
    let magic = SpoolSegment.magic
    guard bytes.count >= magic.count else { return bytes }
    bytes.replaceSubrange(..<magic.count, with: magic)
    bytes.withUnsafeMutableBytes { bytes in
      var offset = magic.count
      while bytes.count - offset >= SpoolSegment.headByteCount {
        let length = Int(
          UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        guard (SpoolSegment.headByteCount...bytes.count - offset).contains(length) else { return }
        let record = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
        bytes.storeBytes(
          of: SpoolSegment.checksum(record).littleEndian, toByteOffset: offset + 4, as: UInt32.self)
        offset += length
      }
    }
    return bytes
  }

  /// Every byte is told for what it is, what waits can be read, and a file that was cut is read the same.
  @Sendable private static func read(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let (found, end) = SpoolSegment.scan(input)
    try BrokenLaw.unless(
      (0...input.count).contains(end) && end + found.tornByteCount == input.count,
      "what is torn is what stands behind the last record")
    var last = 0
    for (stream, record) in found.waiting {
      try BrokenLaw.unless(
        record.offset >= last && record.offset + record.byteCount <= end, "records stand in order")
      last = record.offset + record.byteCount
      let bytes = UnsafeRawBufferPointer(rebasing: input[record.offset..<last])
      guard let content = SpoolSegment.content(bytes) else {
        throw BrokenLaw("a record that waits can be read")
      }
      try BrokenLaw.unless(content.stream == stream, "a record is of its stream")
      var again = SpoolSegment.encode(content, writtenAt: record.writtenAt)
      // Whatever stands there but 1 says that it waits.
      again.replaceSubrange(8..<12, with: bytes[8..<12])
      // A name that is no UTF-8 is not what the collector wrote.
      let isText = ![content.stream, content.messageID].contains {
        $0.unicodeScalars.contains("\u{fffd}")
      }
      try BrokenLaw.unless(!isText || again.elementsEqual(bytes), "a record comes back")
    }
    guard end < input.count else { return }
    let (kept, all) = SpoolSegment.scan(UnsafeRawBufferPointer(rebasing: input[..<end]))
    try BrokenLaw.unless(
      kept.waiting.count == found.waiting.count && all == end,
      "a file whose end was cut off is whole")
  }
}
