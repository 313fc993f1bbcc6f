public import Dataflow
import Events

/// One generation of the event streams as a server holds it: the partitions among which persons were
/// divided for a time.
public struct StreamGeneration: Hashable, Sendable {
  public var number: UInt32
  /// By partition, as the server has them.
  public var streams: [StreamConfig]

  public var partitions: Int { streams.count }

  /// True once every stream has its end: nothing is added to the generation any more.
  public var isSealed: Bool { streams.allSatisfy { $0.end != nil } }

  /// What of it the processor needs to know.
  public var logGeneration: LogGeneration {
    LogGeneration(number: number, streams: streams.map(\.name), ends: streams.map(\.end))
  }
}

extension StreamConfig {
  /// Of a sealed stream its last sequence; nil while frames can be added.
  public var end: UInt64? {
    get { metadata[StreamDefinitions.endKey].flatMap { UInt64($0) } }
    set { metadata[StreamDefinitions.endKey] = newValue.map { "\($0)" } }
  }

  /// Of a stream of events: its generation.
  public var generation: UInt32? {
    metadata[StreamDefinitions.generationKey].flatMap { UInt32($0) }
  }

  /// Of a stream of events: its partition.
  public var partition: Int? { metadata[StreamDefinitions.partitionKey].flatMap { Int($0) } }

  /// True where the stream refuses frames; its end may not be known yet.
  var isClosed: Bool { messageBytesMax == StreamDefinitions.closedMessageBytes }
}

/// The generations of event streams that a server holds, read from the metadata of its streams: the log
/// itself says how it is divided.
public struct StreamGenerations: Hashable, Sendable {
  /// Those of which every stream is there, rising.
  public private(set) var all: [StreamGeneration] = []
  /// One of which streams are missing: it is being made. Streams by partition.
  private(set) var unfinished: (number: UInt32, partitions: Int, streams: [Int: StreamConfig])?

  /// - Parameter actual: the configurations of all streams of the server as JSON objects; streams that
  ///   are not ours may be among them.
  public init(actual: [String]) throws(StreamPlan.UnreadableConfig) {
    var found: [UInt32: (partitions: Int, streams: [Int: StreamConfig])] = [:]
    for json in actual {
      let config: ActualStreamConfig
      do throws(JSONError) {
        config = try ActualStreamConfig(json: json)
      } catch {
        throw StreamPlan.UnreadableConfig(problem: error)
      }
      guard
        let generation = config.metadata[StreamDefinitions.generationKey].flatMap({ UInt32($0) }),
        let partitions = config.metadata[StreamDefinitions.partitionsKey].flatMap({ Int($0) }),
        let partition = config.metadata[StreamDefinitions.partitionKey].flatMap({ Int($0) }),
        (0..<partitions).contains(partition)
      else { continue }
      found[generation, default: (partitions, [:])].streams[partition] = config.config
    }
    for (number, generation) in found.sorted(by: { $0.key < $1.key }) {
      let streams = (0..<generation.partitions).compactMap { generation.streams[$0] }
      if streams.count == generation.partitions {
        all.append(StreamGeneration(number: number, streams: streams))
      } else {
        unfinished = (number, generation.partitions, generation.streams)
      }
    }
  }

  /// Where frames are added: the oldest generation that is not sealed. Nil for an empty server.
  public var open: StreamGeneration? { all.first { !$0.isSealed } ?? all.last }

  /// Where frames go that `generation` refuses.
  public func successor(of generation: UInt32) -> StreamGeneration? {
    all.first { $0.number > generation }
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.all == b.all && a.unfinished?.number == b.unfinished?.number
      && a.unfinished?.streams == b.unfinished?.streams
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(all) }
}

extension ActualStreamConfig {
  /// What of it the definitions decide.
  var config: StreamConfig {
    StreamConfig(
      name: name, subjects: subjects, storage: storage, retention: retention, discard: discard,
      bytesMax: bytesMax, messageBytesMax: messageBytesMax, duplicateWindow: duplicateWindow,
      replicas: Int(replicas), metadata: metadata)
  }
}
