public import Events

/// Which frame of the log something was read from, in few bytes: where the data behind an answer is.
public struct FramePlace: Hashable, Sendable {
  public var generation: UInt32
  public var partition: UInt32
  public var sequence: UInt64

  public init(_ stream: StreamPlace, sequence: UInt64) {
    generation = stream.generation
    partition = UInt32(clamping: stream.partition)
    self.sequence = sequence
  }

  public var position: Position {
    Position(generation: generation, sequences: [Int(partition): sequence])
  }
}
