import Testing

@testable import Runtime

@Suite struct SnapshotFileTests {
  private static let file = SnapshotFile(
    sequence: 0x0102_0304_0506_0708,
    sections: [(3, [1, 2, 3]), (255, []), (SnapshotFile.head, Array(0..<40))])

  @Test("A snapshot file is read as it was written")
  func roundTrip() throws {
    for file in [Self.file, SnapshotFile(sequence: 0, sections: [])] {
      let read = try #require(SnapshotFile(file.encoded()))
      #expect(read.sequence == file.sequence)
      #expect(read.sections.map(\.group) == file.sections.map(\.group))
      #expect(read.sections.map(\.bytes) == file.sections.map(\.bytes))
    }
  }

  @Test("A snapshot file that lacks bytes at its end, or has others, is no snapshot file")
  func torn() {
    let bytes = Self.file.encoded()
    for count in bytes.indices { #expect(SnapshotFile(Array(bytes.prefix(count))) == nil) }
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        #expect(SnapshotFile(changed) == nil, "bit \(bit) of byte \(index)")
      }
    }
    #expect(SnapshotFile(bytes + [0]) == nil)
  }

  @Test("The name of a snapshot says its sequence, and names sort as sequences do")
  func names() {
    let sequences: [UInt64] = [0, 9, 10, 1 << 40, .max]
    let names = sequences.map(SnapshotFile.name)
    #expect(names == names.sorted())
    #expect(names.map(SnapshotFile.sequence) == sequences)
    #expect(SnapshotFile.sequence(name: "head") == nil)
    #expect(SnapshotFile.sequence(name: "snapshot-1x") == nil)
  }
}
