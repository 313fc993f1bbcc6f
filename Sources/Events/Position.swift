/// How far something has read the log: a sequence per partition of one generation of streams.
///
/// Clients treat its text as opaque. It is `GENERATION~PARTITION.SEQUENCE~…` in rising order of
/// partition and needs no escaping in a URL or a header, such as `1~0.1204~3.88`.
public struct Position: Hashable, Sendable {
  public var generation: UInt32
  /// Partition to the sequence up to and including which it has been read.
  public private(set) var sequences: [Int: UInt64]

  public init(generation: UInt32, sequences: [Int: UInt64] = [:]) {
    self.generation = generation
    self.sequences = sequences
  }

  public mutating func advance(partition: Int, to sequence: UInt64) {
    sequences[partition] = max(sequences[partition] ?? 0, sequence)
  }

  /// True where every partition of `other` has been read here at least as far.
  public func covers(_ other: Position) -> Bool {
    if generation != other.generation { return generation > other.generation }
    return other.sequences.allSatisfy { (sequences[$0.key] ?? 0) >= $0.value }
  }

  /// - Returns: nil where the text is not a position.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "~", omittingEmptySubsequences: false)
    guard let first = parts.first, let generation = UInt32(first) else { return nil }
    var sequences: [Int: UInt64] = [:]
    for part in parts.dropFirst() {
      let pair = part.split(separator: ".", omittingEmptySubsequences: false)
      guard pair.count == 2, let partition = Int(pair[0]), partition >= 0,
        let sequence = UInt64(pair[1]), sequences[partition] == nil
      else { return nil }
      sequences[partition] = sequence
    }
    self.init(generation: generation, sequences: sequences)
  }
}

extension Position: CustomStringConvertible {
  public var description: String {
    Self.text(
      generation: generation,
      sequences.sorted { $0.key < $1.key }.map { (partition: $0.key, sequence: $0.value) })
  }

  /// The text of a position whose parts are known already: every answer of a collector has one.
  ///
  /// - Parameter sequences: in rising order of partition.
  public static func text(
    generation: UInt32, _ sequences: [(partition: Int, sequence: UInt64)]
  ) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(12 + 24 * sequences.count)
    write(UInt64(generation), to: &text)
    for (partition, sequence) in sequences {
      text.append(UInt8(ascii: "~"))
      write(UInt64(partition), to: &text)
      text.append(UInt8(ascii: "."))
      write(sequence, to: &text)
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func write(_ number: UInt64, to text: inout [UInt8]) {
    if number >= 10 { write(number / 10, to: &text) }
    text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
  }
}
