public import Dataflow

/// What `Streams/streams.yaml` declares: the partitions of one generation, the dead letters, the facts, and
/// what the streams between the stages of pipelines are like.
public struct StreamDefinitions: Hashable, Sendable {
  public static let fileName = "streams.yaml"

  /// The newest.
  public internal(set) var generation: UInt32
  /// Generations that the server has; empty where it was not asked. See ``adopting(_:)``.
  public internal(set) var generations: [StreamGeneration] = []
  /// The streams of events of ``generation``, by partition.
  public var events: [StreamConfig]
  public var deadLetters: StreamConfig
  /// What was decided and found out; a subject for each thing.
  public var facts: StreamConfig
  /// The streams between the stages, of the pipelines that have two.
  public internal(set) var partials: [StreamConfig] = []
  /// What each of ``partials`` is but for its name.
  private var partialsTemplate: StreamConfig

  public var partitions: Int { events.count }

  /// In order of partition, then the dead letters, the facts and the partials.
  public var all: [StreamConfig] { events + [deadLetters, facts] + partials }

  /// What every pipeline reads first: the events of all generations in order, and the dead letters,
  /// with generation and partition. See ``StreamPartition/partials(of:)`` for what its second stage reads.
  /// The dead letters are of no generation, which is written as 1.
  public var streamPartitions: [StreamPartition] {
    generations.filter { $0.number < generation }.flatMap { earlier in
      earlier.streams.enumerated().map { partition, config in
        StreamPartition(stream: config.name, generation: earlier.number, partition: partition)
      }
    }
      + events.enumerated().map { partition, config in
        StreamPartition(stream: config.name, generation: generation, partition: partition)
      } + [deadLetterPartition]
  }

  /// Every generation of the events, rising: those that the server has, else the declared one.
  public var logGenerations: [LogGeneration] {
    generations.isEmpty
      ? [StreamGeneration(number: generation, streams: events).logGeneration]
      : generations.map(\.logGeneration)
  }

  public var deadLetterPartition: StreamPartition {
    StreamPartition(stream: deadLetters.name, generation: 1, partition: -1)
  }

  /// The same streams made smaller, in proportion, where a server's file storage is too small:
  /// JetStream refuses a stream whose `max_bytes` it cannot reserve.
  ///
  /// - Parameter storeBytes: the server's `max_file_store`; a tenth of it is left to others.
  public func fitted(toStoreBytes storeBytes: Int64) -> StreamDefinitions {
    let declared = all.reduce(0) { $0 + $1.bytesMax }
    let room = storeBytes / 10 * 9
    guard declared > room else { return self }
    let share = Double(max(room, 0)) / Double(declared)
    func fit(_ config: StreamConfig) -> StreamConfig {
      var config = config
      config.bytesMax = max(config.messageBytesMax, Int64(Double(config.bytesMax) * share))
      return config
    }
    var fitted = self
    fitted.events = events.map(fit)
    fitted.deadLetters = fit(deadLetters)
    fitted.facts = fit(facts)
    fitted.partials = partials.map(fit)
    return fitted
  }

  /// The same with the generations that a server has. Where it has gone on to another number of
  /// partitions than is declared, the server's generation is the one that is written to.
  public func adopting(_ generations: StreamGenerations) -> StreamDefinitions {
    var streams = self
    streams.generations = generations.all
    guard let last = generations.all.last, last.number != generation else { return streams }
    streams.generation = last.number
    streams.events = last.streams
    return streams
  }

  /// Adds the stream of each pipeline that has a second stage.
  mutating func declarePartials(of pipelines: [PipelineSpec]) {
    partials = pipelines.filter(\.hasSecondStage).map { partialsConfig(of: $0) }
  }

  /// The stream between the stages of a pipeline, declared or not.
  public func partialsConfig(of pipeline: PipelineSpec) -> StreamConfig {
    var config = partialsTemplate.named(pipeline.partialsStream)
    config.metadata = [Self.pipelineKey: "\(pipeline.name)_\(pipeline.version)"]
    return config
  }
}

extension StreamDefinitions {
  /// Metadata keys of the streams; see ``StreamConfig/metadata``.
  static let generationKey = "smartcontent.generation"
  static let partitionsKey = "smartcontent.partitions"
  static let partitionKey = "smartcontent.partition"
  /// Of a sealed stream: its last sequence.
  public static let endKey = "smartcontent.end"
  /// Of a stream that is about to be closed: its `max_bytes` before.
  static let roomKey = "smartcontent.room"
  static let pipelineKey = "smartcontent.pipeline"
  /// Of ``PipelineSpec/partialsStream``; no declared name begins with it.
  private static let partialsPrefix = "partials-"

  /// 256 key groups bound the partitions; two digits in the name bound them further.
  public static let partitionsMax = 100
  /// The `max_message_bytes` of a closed stream: it refuses every frame, and can still be trimmed.
  static let closedMessageBytes: Int64 = 1

  static func metadata(_ generation: UInt32, _ partition: Int, of partitions: Int) -> [String:
    String]
  {
    [
      generationKey: "\(generation)", partitionsKey: "\(partitions)",
      partitionKey: "\(partition)",
    ]
  }

  static let rootKeys = ["events", "dead_letters", "facts", "partials"]
  private static let commonKeys = [
    "subjects", "storage", "retention", "discard", "max_bytes", "max_message_bytes",
    "duplicate_window", "replicas",
  ]

  init?(_ root: Section) {
    guard
      let events = root.section(
        "events", keys: Self.commonKeys + ["name", "generation", "partitions"]),
      let dead = root.section("dead_letters", keys: Self.commonKeys + ["name"]),
      let facts = root.section("facts", keys: Self.commonKeys + ["name"]),
      let partials = root.section("partials", keys: Self.commonKeys)
    else { return nil }
    let generation = events.integer("generation", 1...Int(Int32.max))
    let partitions = events.integer("partitions", 1...Self.partitionsMax)
    let pattern = Self.name(of: events, hasPartition: true)
    let deadName = Self.name(of: dead, hasPartition: false)
    let factsName = Self.name(of: facts, hasPartition: false)
    guard let eventConfig = Self.config(events), let deadConfig = Self.config(dead),
      let factsConfig = Self.config(facts, subject: "{name}.>"),
      let template = Self.config(partials),
      let generation, let partitions, let pattern, let deadName, let factsName
    else { return nil }
    self.generation = UInt32(generation)
    self.events = (0..<partitions).map { partition in
      let number = (partition < 10 ? "0" : "") + "\(partition)"
      var config = eventConfig.named(pattern.replacing("NN", with: number))
      config.metadata = Self.metadata(UInt32(generation), partition, of: partitions)
      return config
    }
    deadLetters = deadConfig.named(deadName)
    self.facts = factsConfig.named(factsName)
    partialsTemplate = template
    let names = self.events.map(\.name)
    for (section, name, usual) in [
      (dead, deadName, "dead-letters"), (facts, factsName, "facts"),
    ] where names.contains(name) || (usual == "facts" && name == deadName) {
      root.problems.add(
        line: section.line, key: section.path("name"),
        what: "is also the name of another stream", allowed: "a name of its own",
        fix: "write \(usual)")
      return nil
    }
  }

  private static func name(of section: Section, hasPartition: Bool) -> String? {
    let allowed =
      "1 to 60 of a-z, A-Z, 0-9, - and _, not beginning with \(partialsPrefix)"
      + (hasPartition ? ", with NN once, where the partition's two digits stand" : "")
    return section.value(
      "name", allowed: allowed,
      fix: "write \(hasPartition ? "events-NN" : "dead-letters")"
    ) { text in
      let isPlain = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
      let places = text.split(separator: "NN", omittingEmptySubsequences: false).count - 1
      let isOurs = !text.hasPrefix(partialsPrefix)
      return isPlain && isOurs && text.utf8.count <= 60 && places == (hasPartition ? 1 : 0)
        ? text : nil
    }
  }

  /// Everything but name and metadata.
  private static func config(
    _ section: Section, subject: String = "{name}"
  ) -> StreamConfig? {
    let subjects = section.texts("subjects", allowed: "[\"\(subject)\"]")
    if let subjects, subjects != [subject] {
      section.problems.add(
        line: section["subjects"]?.line ?? section.line, key: section.path("subjects"),
        what: "is \(subjects)", allowed: "[\"\(subject)\"]",
        fix: "write [\"\(subject)\"]: what is published carries the stream's own name")
    }
    let storage = section.choice("storage", ["file"], because: "the log is the only truth")
    let retention = section.choice(
      "retention", ["limits"], because: "reading must not remove events")
    let discard = section.choice(
      "discard", ["new"], because: "a full log refuses new events and never drops old ones")
    let bytesMax = section.bytes("max_bytes", (1 << 20)...(1 << 50))
    let messageBytesMax = section.bytes("max_message_bytes", (64 << 10)...(8 << 20))
    let window = section.duration("duplicate_window", 1_000_000...86_400_000_000)
    let replicas = section.value(
      "replicas", allowed: "1, 3, 5",
      fix: "write 1 on a single server and 3 in a cluster"
    ) { text in [1, 3, 5].first { "\($0)" == text } }
    guard let subjects, let storage, let retention, let discard, let bytesMax,
      let messageBytesMax, let window, let replicas
    else { return nil }
    guard bytesMax >= messageBytesMax else {
      section.problems.add(
        line: section.line, key: section.path("max_bytes"),
        what: "is less than max_message_bytes", allowed: "at least max_message_bytes",
        fix: "raise it")
      return nil
    }
    return StreamConfig(
      name: "", subjects: subjects, storage: storage, retention: retention, discard: discard,
      bytesMax: bytesMax, messageBytesMax: messageBytesMax, duplicateWindow: window,
      replicas: replicas)
  }
}

extension StreamConfig {
  /// The same with this name, which subjects are made of.
  fileprivate func named(_ name: String) -> StreamConfig {
    var config = self
    config.name = name
    config.subjects = subjects.map { $0.replacing("{name}", with: name) }
    return config
  }
}
