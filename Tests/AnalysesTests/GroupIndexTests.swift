import Testing

@testable import Analyses

@Suite struct GroupIndexTests {
  @Test("A key gives back what it was made of, at the ends of each range too")
  func packed() {
    let tables: [(UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)] = [
      (0, 0, 0, 0, 0, 0, 0, 0), (7, 9, 2, 1234, 167, 3, 5, 11),
      (0xff_fffe, 0xff_fffe, 0xfffe, 0xf_fffe, 0xfe, 0xfe, 0x3ffe, 0x3ffe),
    ]
    for (tuple, payload, segment, bucket, hour, currency, agent, name) in tables {
      let key = GroupKey(
        tuple: tuple, payload: payload, segment: segment, bucket: bucket, hour: hour,
        currency: currency, agent: agent, name: name)
      #expect(key.tuple == tuple && key.payload == payload && key.bucket == bucket)
      #expect(key.segment == segment && GroupKey(key, segment: 5).segment == 5)
      #expect(GroupKey(GroupKey(key, segment: 5), segment: segment) == key)
      #expect(key.hour == hour && key.currency == currency)
      #expect(key.agent == agent && key.name == name)
      #expect(!key.hasOther && !key.isOfOthers)
      let others = key.ofOthers
      #expect(others.isOfOthers && others.bucket == bucket && others.currency == currency)
      let moved = GroupKey(key, currency: 0x7e)
      #expect(moved.currency == 0x7e && moved.name == name && moved.hour == hour)
    }
  }

  @Test("Groups keep their numbers while the index grows")
  func grows() {
    var index = GroupIndex()
    func key(_ number: Int) -> GroupKey {
      GroupKey(
        tuple: UInt64(number % 97), payload: UInt64(number), segment: 0, bucket: 0, hour: 0,
        currency: 0, agent: 0, name: 0)
    }
    for number in 0..<10_000 {
      #expect(index.find(key(number)) == -1)
      #expect(index.add(key(number)) == number)
    }
    #expect((0..<10_000).allSatisfy { index.find(key($0)) == $0 })
  }

  @Test("A text has the number of its first appearance; one too many has none")
  func texts() {
    var table = TextTable(countMax: 3000)
    func bytes(_ number: Int) -> [UInt8] {
      Array(String(repeating: "x\(number)", count: number % 5).utf8)
    }
    var known: [[UInt8]: Int] = [:]
    for number in 0..<3000 {
      let text = bytes(number)
      let found = text.withUnsafeBytes { table.intern($0) }
      if let before = known[text] { #expect(found == before) } else { known[text] = found }
    }
    #expect(known.values.sorted() == Array(0..<known.count) && table.count == known.count)
    for (text, number) in known { #expect(table.text(number) == text) }
    var small = TextTable(countMax: 1)
    #expect([UInt8](arrayLiteral: 1).withUnsafeBytes { small.intern($0) } == 0)
    #expect([UInt8](arrayLiteral: 2).withUnsafeBytes { small.intern($0) } == nil)
    #expect([UInt8](arrayLiteral: 1).withUnsafeBytes { small.intern($0) } == 0)
  }

  @Test("A time belongs to the last bucket that starts at or before it")
  func buckets() {
    let starts: [Int64] = [0, 10, 20, 50]
    for (time, bucket) in [(-5, 0), (0, 0), (9, 0), (10, 1), (49, 2), (50, 3), (1_000_000, 3)] {
      let found = TimeBucket(of: Int64(time), in: starts)
      #expect(found.number == UInt64(bucket) && found.contains(Int64(time)))
    }
    #expect(TimeBucket(of: 7, in: []).number == 0)
    #expect(!TimeBucket(of: 10, in: starts).contains(20))
  }
}
