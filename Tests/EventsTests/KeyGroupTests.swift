import Events
import Testing

@Suite("Key groups")
struct KeyGroupTests {
  @Test("partitions own contiguous ranges that cover every group once", arguments: 1...100)
  func partitions(count: Int) {
    let owners = (0..<KeyGroup.count).map { KeyGroup.partition(of: $0, partitions: count) }
    #expect(owners == owners.sorted())
    #expect(Set(owners) == Set(0..<count))
    let sizes = (0..<count).map { partition in owners.count { $0 == partition } }
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
    for partition in 0..<count {
      let owned = (0..<KeyGroup.count).filter { owners[$0] == partition }
      #expect(Array(KeyGroup.groups(of: partition, partitions: count)) == owned)
    }
  }

  @Test("a person's group is the lowest byte of the key")
  func group() {
    #expect(KeyGroup.of(person: Key128(low: 0x1234, high: 99)) == 0x34)
    #expect(KeyGroup.partition(of: Key128(low: 0xff, high: 0), partitions: 4) == 3)
  }
}
