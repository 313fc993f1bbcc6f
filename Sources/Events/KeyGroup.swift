/// The fixed unit in which state is owned, moved and saved: 256 groups of persons.
///
/// A person's group never changes; the partition that owns a group follows from the number of
/// partitions of the generation.
public enum KeyGroup {
  public static let count = 256

  @inlinable
  public static func of(person: Key128) -> Int { Int(person.low & 0xff) }

  /// The partition that owns `group` among `partitions`: contiguous ranges of groups.
  @inlinable
  public static func partition(of group: Int, partitions: Int) -> Int {
    group &* partitions / count
  }

  @inlinable
  public static func partition(of person: Key128, partitions: Int) -> Int {
    partition(of: of(person: person), partitions: partitions)
  }

  /// The groups that `partition` owns among `partitions`; empty for a partition that is not one.
  public static func groups(of partition: Int, partitions: Int) -> Range<Int> {
    guard partition >= 0, partition < partitions else { return 0..<0 }
    let first = (partition * count + partitions - 1) / partitions
    let end = ((partition + 1) * count + partitions - 1) / partitions
    return first..<end
  }
}
