/// Where a frame of partials comes from, and where its source stood.
///
/// Partials are what the first stage of a pipeline hands to the second through the log. A source is
/// one partition of the events; it closes a *tick* when enough of its log time has passed, and what the
/// tick gave is one frame, or several where it is large. A source's frames are numbered from 1 without
/// a gap, and what number n holds is a function of the source's stream alone: whoever computes it gets
/// the same bytes, so a copy is as good as the first.
///
/// In the common header (see ``FrameHeader``) the producer's low half is the hash of the pipeline and
/// its high half 0, generation and partition are the source's, the producer's sequence is the number,
/// the number of events is that of all records, and epoch, received base and original log time are 0.
/// The rest is in the column ``FrameColumn/partialHead``.
public struct PartialFrameHead: Hashable, Sendable {
  /// `PipelineSpec.hash` of the pipeline.
  public var pipelineHash: UInt64
  /// Of the source.
  public var generation: UInt32
  /// Of the source.
  public var partition: UInt32
  /// Partitions of the source's generation: so many sources there are.
  public var partitionCount: UInt32
  /// Of the frame among those of its source; the first is 1.
  public var number: UInt64
  /// The source's last frame in the tick.
  public var sourceSequence: UInt64
  /// The source's log time when the tick closed, microseconds since the epoch.
  public var sourceLogTime: Int64
  /// True for the last frame of a tick: with it everything up to `sourceSequence` is handed over.
  public var closesTick: Bool
  /// True for the last frame of a source: its stream is sealed, and all of it is handed over.
  public var isLast: Bool

  public init(
    pipelineHash: UInt64, generation: UInt32, partition: UInt32, partitionCount: UInt32,
    number: UInt64, sourceSequence: UInt64, sourceLogTime: Int64, closesTick: Bool,
    isLast: Bool = false
  ) {
    self.pipelineHash = pipelineHash
    self.generation = generation
    self.partition = partition
    self.partitionCount = partitionCount
    self.number = number
    self.sourceSequence = sourceSequence
    self.sourceLogTime = sourceLogTime
    self.closesTick = closesTick
    self.isLast = isLast
  }

  static let byteCount = 40
  static let closesTickFlag: UInt32 = 1
  static let isLastFlag: UInt32 = 2

  var flags: UInt32 {
    (closesTick ? Self.closesTickFlag : 0) | (isLast ? Self.isLastFlag : 0)
  }

  /// - Parameter count: of records.
  func header(count: Int) -> FrameHeader {
    FrameHeader(
      kind: .partials, generation: generation, partition: partition,
      producer: Key128(low: pipelineHash, high: 0), epoch: 0, producerSequence: number,
      count: count)
  }

  /// The `Nats-Msg-Id` of the frame: the same for every copy, whoever made it.
  public var messageID: String {
    let digits = String(pipelineHash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
      + "-\(generation)-\(partition)-\(number)"
  }
}

/// The six sums of a contribution or a pane, in the order of the places of a window row.
public struct PartialSums: Hashable, Sendable, BitwiseCopyable {
  public var first: Int64
  public var second: Int64
  public var third: Int64
  public var fourth: Int64
  public var fifth: Int64
  public var sixth: Int64

  @inlinable
  public init(
    _ first: Int64, _ second: Int64, _ third: Int64, _ fourth: Int64, _ fifth: Int64,
    _ sixth: Int64
  ) {
    self.first = first
    self.second = second
    self.third = third
    self.fourth = fourth
    self.fifth = fifth
    self.sixth = sixth
  }

  static let byteCount = 48
}

/// Sums of a dimension tuple from a time on: a contribution to a window, or a pane.
public struct PartialRecord: Hashable, Sendable, BitwiseCopyable {
  /// Index into the frame's dictionary.
  public var tuple: UInt32
  /// Of the window or pane, microseconds since the epoch.
  public var start: Int64
  public var sums: PartialSums
  /// Of a contribution: what its sums are of, a number below 256 that the stages agree on.
  public var measure: UInt8

  /// Contributions of this measure say nothing of it.
  public static let commonMeasure: UInt8 = 1

  @inlinable
  public init(
    tuple: UInt32, start: Int64, sums: PartialSums, measure: UInt8 = Self.commonMeasure
  ) {
    self.tuple = tuple
    self.start = start
    self.sums = sums
    self.measure = measure
  }
}

/// What a person said about an incident.
public struct PartialFeedback: Hashable, Sendable, BitwiseCopyable {
  public var incident: Int64
  /// Index into the frame's dictionary; its site is the event's.
  public var tuple: UInt32
  /// Raw value of the verdict.
  public var verdict: UInt32

  @inlinable
  public init(incident: Int64, tuple: UInt32, verdict: UInt32) {
    self.incident = incident
    self.tuple = tuple
    self.verdict = verdict
  }
}

/// A user counts as exposed to a campaign by a touch that is counted elsewhere, such as one of its device
/// long before it signed in.
public struct PartialAnchor: Hashable, Sendable, BitwiseCopyable {
  /// The person key of the user.
  public var user: Key128
  /// The campaign's hash.
  public var campaign: UInt64
  /// Of the touch, microseconds since the epoch.
  public var time: Int64
  /// The user's touches before it, microseconds since the epoch, are not its concern.
  public var from: Int64

  @inlinable
  public init(user: Key128, campaign: UInt64, time: Int64, from: Int64) {
    self.user = user
    self.campaign = campaign
    self.time = time
    self.from = from
  }

  static let byteCount = 40
}

/// Two person keys that are one person.
public struct PersonUnion: Hashable, Sendable, BitwiseCopyable {
  public var first: Key128
  public var second: Key128

  @inlinable
  public init(_ first: Key128, _ second: Key128) {
    self.first = first
    self.second = second
  }
}
