/// How far the second stage has taken in what one partition of the events gave.
public struct SourcePosition: Hashable, Sendable {
  public var generation: UInt32
  public var partition: Int
  /// The source's last frame whose partials are in.
  public var sequence: UInt64

  public init(generation: UInt32, partition: Int, sequence: UInt64) {
    self.generation = generation
    self.partition = partition
    self.sequence = sequence
  }
}

extension SourcePosition {
  /// As checkpoints and hot copies store them: `GENERATION.PARTITION.SEQUENCE`, with commas between,
  /// such as `1.0.1204,1.1.88`; empty for none.
  public static func text(_ sources: [SourcePosition]) -> String {
    sources.map { "\($0.generation).\($0.partition).\($0.sequence)" }.joined(separator: ",")
  }

  /// - Returns: nil where the text is not of ``text(_:)``.
  public static func parse(_ text: some StringProtocol) -> [SourcePosition]? {
    var sources: [SourcePosition] = []
    for item in text.split(separator: ",") {
      let parts = item.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count == 3, let generation = UInt32(parts[0]), let partition = Int(parts[1]),
        let sequence = UInt64(parts[2])
      else { return nil }
      sources.append(
        SourcePosition(generation: generation, partition: partition, sequence: sequence))
    }
    return sources
  }
}
